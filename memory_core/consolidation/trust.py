"""Trust in the channels, learned from the stream itself: a turn asks for the turn that followed it.

The turn is kept out of the patterns and asks with its own keys and words; the turn that came next is the right answer
among the 64 strongest patterns. With part scores x_c of a candidate the weights w maximise the softmax likelihood of
the right one, sum_pairs log p(answer) - PRIOR/2 |w - 1|^2 (MAP, multinomial logistic regression), the sharpness of
the softmax fitted first. The prior counts as much as all pairs, on purpose: a turn is not a question, and what a
weaker prior learns from turns costs recall (docs/log.md). Which speaker follows says nothing about answers: that
channel stays at 1.
Shapes: C channels, K candidates, R pairs.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from memory_core.patterns.channels import score_patterns
from memory_core.results import CHANNELS
from memory_core.state import MemoryState

PAIRS: Final = 256
PAIRS_MIN: Final = 32
PRIOR: Final = 256.0
CANDIDATES: Final = 64
WEIGHT_MIN: Final = 0.5
WEIGHT_MAX: Final = 2.0
_SHARPNESS: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
_STEPS: Final = 300
_TOLERANCE: Final = 1e-4
_LEARNED_C: Final = np.array([name != "speaker" for name in CHANNELS], dtype=np.float64)


def learn_channel_weights(state: MemoryState) -> np.ndarray:
    """Weights of the channels in the order of ``CHANNELS``, shape (C,); 1 each while fewer than 32 turns followed."""
    followed = np.flatnonzero(state.transitions.next_UL[: state.pattern_count, 0] >= 0)
    if len(followed) < PAIRS_MIN:
        return np.ones(len(CHANNELS))
    chosen = followed[np.unique(np.linspace(0, len(followed) - 1, PAIRS).astype(np.int64))]
    return _fit(np.stack([_ask(state, slot) for slot in chosen.tolist()]))


def _ask(state: MemoryState, slot: int) -> np.ndarray:
    """Unweighted part scores of the turn that followed a slot (row 0) and of its strongest rivals, shape (K, C)."""
    answer = int(state.transitions.next_UL[slot, 0])
    keys_SD = state.bank.units.keys_uD[state.bank.units.units_of(slot)]
    words = [word for word in state.words.word_UW[slot].tolist() if word]
    scores = score_patterns(state, keys_SD, words, without=slot)
    parts_Cn = np.stack([scores.parts[name] for name in CHANNELS]) / state.channel_weights_C[:, None]
    rivals = np.delete(np.arange(state.pattern_count), [slot, answer])
    strongest = rivals[np.argsort(-parts_Cn[:, rivals].sum(0), kind="stable")[: CANDIDATES - 1]]
    return parts_Cn[:, np.concatenate([[answer], strongest])].T


def _fit(parts_RKC: np.ndarray) -> np.ndarray:
    ones_C = np.ones(len(CHANNELS))
    sharpness = max(_SHARPNESS, key=lambda value: float(np.log(_softmax(parts_RKC @ (value * ones_C))[:, 0]).sum()))
    rate = 0.5 / (PRIOR + 2 * len(parts_RKC) * sharpness**2)
    weights_C = ones_C
    for _ in range(_STEPS):
        share_RK = _softmax(parts_RKC @ (sharpness * weights_C))
        expected_C = np.einsum("rk,rkc->c", share_RK, parts_RKC)
        slope_C = sharpness * (parts_RKC[:, 0].sum(0) - expected_C) - PRIOR * (weights_C - 1.0)
        weights_C = np.clip(weights_C + rate * slope_C * _LEARNED_C, WEIGHT_MIN, WEIGHT_MAX)
        if rate * float(np.abs(slope_C * _LEARNED_C).max()) < _TOLERANCE:
            break
    return weights_C


def _softmax(scores_RK: np.ndarray) -> np.ndarray:
    share_RK: np.ndarray = np.exp(scores_RK - scores_RK.max(1, keepdims=True))
    share_RK /= share_RK.sum(1, keepdims=True)
    return share_RK
