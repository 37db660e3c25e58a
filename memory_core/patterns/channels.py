"""Reading: every pattern is scored by several channels, and the scores are added.

Channels (measured in docs/log.md): ``precision``, the learned precision of the keys; ``words``, the Hebbian word
table; ``weights``, what the fast weights answer, matched with the patterns' codes. Each is standardised over the
patterns, so scores and not ranks are added; then the sum spreads along the learned transitions (``context``).

Shapes: n patterns in use, D key_dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from memory_core.patterns.word_table import WordId
from memory_core.state import MemoryState

NEAR: Final = (0.25, 0.15)
FAR: Final = 0.5
"""Context weights: (ahead, behind) for one step, and the factor for two steps."""


@dataclass(frozen=True, slots=True)
class ChannelScores:
    """Standardised scores of every pattern: ``total_n`` and what it is made of, and the raw cosines."""

    total_n: np.ndarray
    parts: dict[str, np.ndarray]
    cosine_n: np.ndarray


def score_patterns(state: MemoryState, keys_SD: torch.Tensor, words: list[WordId]) -> ChannelScores:
    """Scores of all n patterns for the keys of a query's segments and its words."""
    sharpened_SD = state.precision.centre(keys_SD) @ state.precision.precision_DD
    units = state.bank.units
    dense_Qu = (torch.cat([keys_SD, sharpened_SD]) @ units.keys_uD.T).cpu().numpy()
    cosine_n, precision_n = units.best_per_pattern(dense_Qu).astype(np.float64).reshape(2, len(keys_SD), -1).mean(1)
    answer_V = state.network.read(state.fast_weights, state.address_keys(keys_SD)).mean(0)
    parts = {
        "precision": standardise(precision_n),
        "words": standardise(state.words.scores(words)),
        "weights": standardise((state.codes() @ answer_V).cpu().double().numpy()),
    }
    own_n = parts["precision"] + parts["words"]
    parts["context"] = _context(state, own_n)
    return ChannelScores(total_n=own_n + parts["context"], parts=parts, cosine_n=cosine_n)


def standardise(scores_n: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation; all zeros when every score is the same."""
    deviation = float(scores_n.std()) if len(scores_n) else 0.0
    if deviation < 1e-12:
        return np.zeros_like(scores_n)
    return (scores_n - scores_n.mean()) / deviation


def _context(state: MemoryState, own_n: np.ndarray) -> np.ndarray:
    ahead, behind = NEAR
    forward_n = state.transitions.spread(own_n, 1.0, 0.0)
    backward_n = state.transitions.spread(own_n, 0.0, 1.0)
    far_n = ahead * state.transitions.spread(forward_n, 1.0, 0.0)
    far_n += behind * state.transitions.spread(backward_n, 0.0, 1.0)
    return ahead * forward_n + behind * backward_n + FAR * far_n
