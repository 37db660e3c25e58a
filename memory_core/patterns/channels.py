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

from memory_core import kernels
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
STEPS: Final = 2
OF_WORDS, OF_KEYS = 0, 1
FADING_S2: Final = np.array(
    [[of.get(-steps, 0.0) for of in (CONTEXT_OF_WORDS, CONTEXT_OF_KEYS)] for steps in range(-STEPS, STEPS + 1)],
    dtype=np.float32,
)
"""The same by steps from the pattern to the neighbour, of words and of keys."""
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
    precision_n = np.empty_like(dense_n)
    mean, deviation = _standardise(dense_n, precision_n)
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
    parts: dict[str, np.ndarray] = {name: part_n for name, part_n in scores.items() if name in channels}
    total_n = np.zeros(state.pattern_count, dtype=np.float32)
    for name, weight in trust.items():
        if name in parts:
            parts[name] *= np.float32(weight)
            total_n += parts[name]
    if "weights" in channels:
        chosen_k, match_k = _fast_weights(state, keys_SD, total_n)
        match_k *= np.float32(trust["weights"] * FAST_WEIGHTS_WEIGHT)
        parts["weights"] = np.zeros_like(total_n)
        parts["weights"][chosen_k] = match_k
        total_n[chosen_k] += match_k
    return ChannelScores(total_n=total_n, parts=parts)


def standardise(scores_n: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation; all zeros when every score is the same."""
    standard_n = np.empty_like(scores_n)
    _standardise(scores_n, standard_n)
    return standard_n


def _standardise(scores_n: np.ndarray, standard_n: np.ndarray) -> tuple[float, float]:
    """Fills in the standardised scores; the mean and the deviation that they had (infinite when all are the same)."""
    if kernels.compiled is not None:
        return kernels.compiled.standardise(scores_n, standard_n)
    mean, deviation = _moments(scores_n)
    np.subtract(scores_n, mean, out=standard_n)
    standard_n /= deviation
    return float(mean), float(deviation)


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
    links = state.transitions
    if kernels.compiled is not None:
        kernels.compiled.lend(
            strongest_k, links.links_2UL, links.counts_2UL, FADING_S2, *by_word, precision_n, words_n, context_n
        )
        return
    chosen_k = links.with_neighbours(strongest_k)
    reach = links.reach(chosen_k)
    # The neighbour is ``steps`` ahead of the pattern, so the pattern is as many steps behind the neighbour.
    starts_s = np.flatnonzero(np.diff(reach.source_R, prepend=-1))
    if len(starts_s):
        reached_s = chosen_k[reach.source_R[starts_s]]
        by_word_Ws, spread_WR = _columns(by_word, len(words_n), reached_s, reach.target_R)
        spread_WR *= _fading(reach, OF_WORDS)
        by_word_Ws = np.maximum(by_word_Ws, np.maximum.reduceat(spread_WR, starts_s, axis=1))
        words_n[reached_s] = by_word_Ws.sum(0)
        nearby_R = precision_n[reach.target_R] * _fading(reach, OF_KEYS)
        context_n[reached_s] = np.maximum(0.0, np.maximum.reduceat(nearby_R, starts_s))


def _columns(by_word: ScoredWords, n_patterns: int, *slots: np.ndarray) -> Iterator[np.ndarray]:
    """Scores by word of each group of slots, shape (W, slots)."""
    place_n = np.zeros(n_patterns, dtype=np.int32)
    for group in slots:
        place_n[group] = 1
    asked_c = np.flatnonzero(place_n)
    place_n[asked_c] = np.arange(1, len(asked_c) + 1)
    # Column 0 takes what nobody asked for.
    words = len(by_word.lengths_W)
    by_word_Wc = np.zeros((words, len(asked_c) + 1), dtype=np.float32)
    by_word_Wc[np.repeat(np.arange(words), by_word.lengths_W), place_n[by_word.slot_E]] = by_word.score_E
    return (by_word_Wc.take(place_n[group], axis=1) for group in slots)


def _fading(reach: Reach, of: int) -> np.ndarray:
    fading_R: np.ndarray = FADING_S2[reach.steps_R + STEPS, of] * reach.share_R
    return fading_R


def _fast_weights(state: MemoryState, keys_SD: torch.Tensor, scores_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest patterns, and the match of M(q) with their codes in deviations of a random code."""
    strongest_k = highest_of(scores_n, CODE_CANDIDATES)
    answer_SV = state.network.read(state.fast_weights, state.address_keys(keys_SD)).cpu().numpy()
    answer_V = answer_SV.mean(0) if len(answer_SV) > 1 else answer_SV[0]
    deviation = math.sqrt(np.dot(answer_V, answer_V) / len(answer_V))
    if not deviation:
        return strongest_k, np.zeros(len(strongest_k), dtype=np.float32)
    match_k = code_matches(state.bank.column("pattern_id_U")[strongest_k], answer_V, state.config.seed)
    match_k /= np.float32(deviation)
    return strongest_k, match_k
