"""Reading: every pattern is scored by several channels, and the scores are added.

``precision``: the sharpened cosine with the pattern's best unit. ``words``: for each word of the query the best of
the pattern's own weight and, smaller, its neighbours' in the session (so that a word that two turns share counts
once). ``context``: the best of the neighbours' precision. ``speaker``: the pattern's speaker is named in the query.
``weights``: what the fast weights answer, matched with the codes of the strongest patterns. Precision and words are
standardised over the patterns, so scores and not ranks are added, each times the weight that the memory has learned
for its channel (``channel_weights``).

Shapes: S segments of the query, n patterns, U units used, k strongest patterns, V value_dim, C channels, W words,
s patterns that reach a neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from memory_core.networks.codes import code_matches
from memory_core.patterns.highest import highest_of
from memory_core.patterns.transitions import Reach
from memory_core.patterns.unit_table import mean_row
from memory_core.patterns.word_table import ScoredWords, WordId
from memory_core.results import CHANNELS, Channel

if TYPE_CHECKING:
    from memory_core.state import MemoryState

CONTEXT_SOURCES: Final = 64
CONTEXT_OF_KEYS: Final = {1: 0.75, -1: 0.6, 2: 0.45, -2: 0.375}
CONTEXT_OF_WORDS: Final = {1: 0.6, -1: 0.48, 2: 0.36, -2: 0.3}
"""How much of a score reaches a neighbour that many steps later (negative: earlier) in the session."""
SPEAKER_WEIGHT: Final = 1.0
FAST_WEIGHTS_WEIGHT: Final = 0.2
CODE_CANDIDATES: Final = 64
# Deviations this small are rounding: all scores are the same.
SAME: Final = 1e-6


@dataclass(frozen=True, slots=True)
class ChannelScores:
    """Standardised scores of every pattern: ``total_n`` and what it is made of."""

    total_n: np.ndarray
    parts: dict[str, np.ndarray]


def score_patterns(
    state: MemoryState,
    keys_SD: torch.Tensor,
    words: list[WordId],
    channels: tuple[Channel, ...] = CHANNELS,
    *,
    without: int | None = None,
) -> ChannelScores:
    """Scores of all n patterns for the keys of a query's segments and its words, by the chosen channels.

    ``without``: a slot that lends its neighbours nothing, as if it had not been learned (its own score means nothing).
    """
    sharpened_SD = state.precision.centre(keys_SD) @ state.precision.precision_DD
    units = state.bank.units
    screen = units.screen_for(len(sharpened_SD))
    dense_Su = units.scores(sharpened_SD) if screen is None else screen.scores(sharpened_SD, units.keys_uD)
    dense_n = mean_row(units.best_per_pattern(dense_Su))
    if without is not None:
        dense_n[without] = dense_n.mean()
    mean, deviation = _moments(dense_n)
    precision_n = (dense_n - mean) / deviation
    by_word = state.words.scored(words)
    if without is not None:
        by_word.score_E[by_word.slot_E == without] = 0.0
    words_n, context_n = by_word.total(state.pattern_count), np.zeros(state.pattern_count, dtype=np.float32)
    strongest_k = highest_of(precision_n + standardise(words_n), CONTEXT_SOURCES)
    if screen is not None:
        precision_n[strongest_k] = (mean_row(units.scores_of(strongest_k, sharpened_SD)) - mean) / deviation
    if "context" in channels:
        _spread(state, strongest_k, precision_n, by_word, words_n, context_n)
    scores = {
        "precision": precision_n,
        "words": standardise(words_n),
        "context": context_n,
        "speaker": SPEAKER_WEIGHT * state.speakers.named_in(words, state.pattern_count),
    }
    trust = dict(zip(CHANNELS, state.channel_weights_C.tolist(), strict=True))
    parts: dict[str, np.ndarray] = {name: trust[name] * scores[name] for name in scores if name in channels}
    total_n = sum(parts.values(), start=np.zeros(state.pattern_count, dtype=np.float32))
    if "weights" in channels:
        parts["weights"] = trust["weights"] * FAST_WEIGHTS_WEIGHT * _fast_weights(state, keys_SD, total_n)
        total_n = total_n + parts["weights"]
    return ChannelScores(total_n=total_n, parts=parts)


def standardise(scores_n: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation; all zeros when every score is the same."""
    mean, deviation = _moments(scores_n)
    standard_n: np.ndarray = scores_n - mean
    standard_n /= deviation
    return standard_n


def _moments(scores_n: np.ndarray) -> tuple[np.float32, np.float32]:
    """Mean and standard deviation; the latter infinite when every score is the same."""
    if not len(scores_n):
        return np.float32(0.0), np.float32(np.inf)
    mean = np.add.reduce(scores_n) / np.float32(len(scores_n))
    centred_n = scores_n - mean
    deviation = math.sqrt(np.dot(centred_n, centred_n) / len(centred_n))
    return mean, np.float32(deviation if deviation > SAME else np.inf)


def _spread(
    state: MemoryState,
    strongest_k: np.ndarray,
    precision_n: np.ndarray,
    by_word: ScoredWords,
    words_n: np.ndarray,
    context_n: np.ndarray,
) -> None:
    """Adds what neighbours lend to words and context, for the strongest patterns and those beside them only."""
    chosen_k = state.transitions.with_neighbours(strongest_k)
    reach = state.transitions.reach(chosen_k)
    # The neighbour is ``steps`` ahead of the pattern, so the pattern is as many steps behind the neighbour.
    starts_s = np.flatnonzero(np.diff(reach.source_R, prepend=-1))
    if len(starts_s):
        reached_s = chosen_k[reach.source_R[starts_s]]
        by_word_Ws, spread_WR = _columns(by_word, len(words_n), reached_s, reach.target_R)
        spread_WR *= _fading(reach, CONTEXT_OF_WORDS)
        by_word_Ws = np.maximum(by_word_Ws, np.maximum.reduceat(spread_WR, starts_s, axis=1))
        words_n[reached_s] = by_word_Ws.sum(0)
        nearby_R = precision_n[reach.target_R] * _fading(reach, CONTEXT_OF_KEYS)
        context_n[reached_s] = np.maximum(0.0, np.maximum.reduceat(nearby_R, starts_s))


def _columns(by_word: ScoredWords, n_patterns: int, *slots: np.ndarray) -> Iterator[np.ndarray]:
    """Scores by word of each group of slots, shape (W, slots)."""
    place_n = np.zeros(n_patterns, dtype=np.int32)
    for group in slots:
        place_n[group] = 1
    asked_c = np.flatnonzero(place_n)
    place_n[asked_c] = np.arange(1, len(asked_c) + 1)
    # Column 0 takes what nobody asked for.
    by_word_Wc = np.zeros((by_word.word_count, len(asked_c) + 1), dtype=np.float32)
    by_word_Wc[by_word.word_E, place_n[by_word.slot_E]] = by_word.score_E
    return (by_word_Wc.take(place_n[group], axis=1) for group in slots)


def _fading(reach: Reach, weights: dict[int, float]) -> np.ndarray:
    by_steps = np.array([weights.get(-steps, 0.0) for steps in range(-2, 3)], dtype=np.float32)
    fading_R: np.ndarray = by_steps[reach.steps_R + 2] * reach.share_R
    return fading_R


def _fast_weights(state: MemoryState, keys_SD: torch.Tensor, scores_n: np.ndarray) -> np.ndarray:
    """Match of M(q) with the codes of the strongest patterns, in deviations of a random code; 0 for the others."""
    strongest_k = highest_of(scores_n, CODE_CANDIDATES)
    answer_SV = state.network.read(state.fast_weights, state.address_keys(keys_SD)).cpu().numpy()
    answer_V = answer_SV.mean(0) if len(answer_SV) > 1 else answer_SV[0]
    deviation = math.sqrt(np.dot(answer_V, answer_V) / len(answer_V))
    weights_n = np.zeros_like(scores_n)
    if deviation > 0.0:
        ids_k = state.bank.column("pattern_id_U")[strongest_k]
        weights_n[strongest_k] = code_matches(ids_k, answer_V, state.config.seed) / deviation
    return weights_n
