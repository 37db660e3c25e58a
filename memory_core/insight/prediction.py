"""predict_next: what comes next, by the transitions that were learned.

The text (or the last thing a session said) is matched with the patterns, m_i; each match expects its successors in
the shares s_ij in which they followed it. What no transition explains goes to patterns that are like the text:

    p_j = LEARNED sum_i m_i (s_ij + SECOND s2_ij) / (1 + SECOND) + (1 - LEARNED) m_j

s2 is the turn after the next. Neighbours play no part in the match itself, else each pattern would match what
follows it. Shapes: S segments, n patterns in use, k best matches, R patterns reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import torch

from memory_core.errors import InvalidInput, NotFound
from memory_core.ids import MemoryName, PatternId
from memory_core.insight_results import Continuation, PredictResult
from memory_core.patterns.channels import standardise
from memory_core.patterns.unit_table import pool_keys
from memory_core.patterns.word_table import WordId, words_of_text
from memory_core.recall import QUERY_SEGMENTS_MAX
from memory_core.results import EncodedText
from memory_core.state import MemoryState, to_keys

TOP_K_MAX: Final = 100
MATCHES: Final = 16
SHARPNESS: Final = 1.0
LEARNED: Final = 0.8
SECOND: Final = 0.25


def predict_next(
    state: MemoryState,
    memory: MemoryName,
    *,
    text: EncodedText | None = None,
    session: str | None = None,
    top_k: int = 5,
) -> PredictResult:
    """What is expected after a text, or after the last pattern of a session. Changes nothing.

    Raises InvalidInput unless exactly one of both is given and ``top_k`` is 1 to 100; NotFound (SESSION_NOT_FOUND)
    when nothing was learned in that session, or too many sessions ago.
    """
    if not 1 <= top_k <= TOP_K_MAX:
        raise InvalidInput(f"top_k={top_k} is not between 1 and {TOP_K_MAX}.", hint="Ask for fewer continuations.")
    if text is not None and session is None:
        keys_SD = pool_keys(to_keys(state, text.keys_SD), QUERY_SEGMENTS_MAX)
        words = words_of_text(text.text, state.config.language)
        match_n = _match(state, keys_SD, words)
        return _result(state, memory, "text", _mixed(state, match_n), top_k)
    if session is not None and text is None:
        return _result(state, memory, "session", _after_tail(state, session), top_k)
    raise InvalidInput("Give either a text or a session.", hint="Send the turn that was just said, or its session.")


def _after_tail(state: MemoryState, session: str) -> tuple[np.ndarray, np.ndarray]:
    tail = state.transitions.tails.get(session)
    if tail is None:
        raise NotFound(
            "No open session has this name in the memory.",
            code="SESSION_NOT_FOUND",
            hint="Observe with this session first, or send a text.",
        )
    keys_SD = state.bank.units.keys_uD[state.bank.units.units_of(tail)]
    match_n = _match(state, keys_SD, [word for word in state.words.word_UW[tail].tolist() if word])
    probability_n, learned_n = _mixed(state, match_n)
    # What was just said is in its own past and like itself, but a pattern is never learned to follow itself.
    probability_n[tail] = learned_n[tail] = 0.0
    return probability_n, learned_n


def _mixed(state: MemoryState, match_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each pattern, and the part of it that transitions gave."""
    learned_n = LEARNED * _expected(state, match_n)
    return learned_n + (1.0 - LEARNED) * match_n, learned_n


def _match(state: MemoryState, keys_SD: torch.Tensor, words: Sequence[WordId]) -> np.ndarray:
    """How well each pattern itself matches, as shares of the 16 best; shape (n,)."""
    units = state.bank.units
    sharpened_SD = state.precision.centre(keys_SD) @ state.precision.precision_DD
    dense_n = units.best_per_pattern(units.scores(sharpened_SD)).mean(0)
    words_n = state.words.scored(words).total(state.pattern_count)
    total_n = standardise(dense_n) + standardise(words_n)
    match_n = np.zeros(state.pattern_count)
    best_k = np.argsort(-total_n, kind="stable")[:MATCHES]
    match_n[best_k] = np.exp(SHARPNESS * (total_n[best_k] - total_n.max(initial=0.0)))
    shares_n: np.ndarray = match_n / max(match_n.sum(), 1e-12)
    return shares_n


def _result(
    state: MemoryState,
    memory: MemoryName,
    based_on: Literal["text", "session"],
    mixed: tuple[np.ndarray, np.ndarray],
    top_k: int,
) -> PredictResult:
    probability_n, learned_n = mixed
    likely_k = np.argsort(-probability_n, kind="stable")[:top_k]
    continuations = tuple(
        Continuation(
            pattern=PatternId(state.bank.pattern_id(slot)),
            probability=float(probability_n[slot]),
            learned_share=float(learned_n[slot] / probability_n[slot]),
            exemplar=state.bank.exemplars[slot][0],
        )
        for slot in likely_k.tolist()
        if probability_n[slot] > 0.0
    )
    return PredictResult(memory=memory, based_on=based_on, continuations=continuations)


def _expected(state: MemoryState, match_n: np.ndarray) -> np.ndarray:
    """What the matches' successors get of their weight; sums to at most 1, shape (n,)."""
    expected_n = np.zeros(len(match_n))
    best_k = np.flatnonzero(match_n)
    if not len(best_k):
        return expected_n
    reach = state.transitions.reach(best_k)
    for steps, amount in ((1, 1.0), (2, SECOND)):
        chosen = reach.steps_R == steps
        weight_R = amount * match_n[best_k[reach.source_R[chosen]]] * reach.share_R[chosen]
        np.add.at(expected_n, reach.target_R[chosen], weight_R)
    expected_n /= 1.0 + SECOND
    return expected_n
