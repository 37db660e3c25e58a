"""infer and surprise: what a MemoryState answers. Neither changes it.

Shapes: N segments, D key_dim, n patterns in use, a of them allowed by the question's filters, k answered with.
"""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import Final

import numpy as np
import torch

from memory_core.encoding.words import analyze
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, PatternId
from memory_core.patterns.channels import ChannelScores, score_patterns
from memory_core.patterns.comparing import compare, compare_with
from memory_core.patterns.highest import highest_of
from memory_core.patterns.novelty import explained_share, surprising_words
from memory_core.patterns.passages import group_passages
from memory_core.patterns.relevance import most_relevant_first
from memory_core.patterns.unit_table import mean_row, pool_keys
from memory_core.patterns.word_table import WordId, word_ids, words_of_text
from memory_core.results import (
    CHANNELS,
    Channel,
    EncodedText,
    Exemplar,
    InferOptions,
    InferResult,
    PatternMatch,
    Recommendation,
    SurpriseResult,
)
from memory_core.state import MemoryState, to_keys
from memory_core.time_range import TimeRange

CONFIDENCE_BIAS: Final = -3.2
CONFIDENCE_COSINE: Final = 2.0
CONFIDENCE_WORDS: Final = 2.0
CONFIDENCE_MARGIN: Final = 0.25
MARGIN_MAX: Final = 12.0
QUERY_SEGMENTS_MAX: Final = 8
NOT_LEARNED_BELOW: Final = 0.25
SKIP_BELOW: Final = 0.2
LEARN_ABOVE: Final = 0.7
TEMPERATURE_MAX: Final = 2.0
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")


def surprise(state: MemoryState, memory: MemoryName, encoded: EncodedText, domain: str | None = None) -> SurpriseResult:
    """Novelty of a text: the mean over its passages; the words and the nearest pattern come from the most novel one.

    ``domain``: compare only with patterns that have an exemplar of it.
    """
    keys_SD, passages = to_keys(state, encoded.keys_SD), group_passages(encoded.spans)
    spans = [(encoded.spans[passage[0]][0], encoded.spans[passage[-1]][1]) for passage in passages]
    spoken = [analyze(encoded.text[start:end], state.config.language) for start, end in spans]
    told = (state.bank, state.words, [word_ids(words) for words in spoken], [len(passage) for passage in passages])
    if domain is None:
        comparison = compare(*told, keys_SD)
    else:
        comparison = compare_with(*told, keys_SD, _allowed_slots(state, InferOptions(domain=domain)))
    found = comparison.judge(np.zeros(len(passages), dtype=bool))
    score = float(found.score_P.mean())
    most = int(found.score_P.argmax())
    nearest = int(found.nearest_P[most])
    recommendation, reason = _recommend(score, float(found.similarity_P[most]))
    return SurpriseResult(
        memory=memory,
        score=score,
        nearest_pattern=None if nearest < 0 else PatternId(state.bank.pattern_id(nearest)),
        surprising_words=surprising_words(state.words, nearest, encoded.text, spans[most], spoken[most]),
        recommendation=recommendation,
        reason=reason,
    )


def infer(state: MemoryState, memory: MemoryName, query: EncodedText, options: InferOptions) -> InferResult:
    """Answer from the patterns that the query activates; composed from their exemplars, never invented."""
    _check_temperature(options)
    keys_SD = pool_keys(to_keys(state, query.keys_SD), QUERY_SEGMENTS_MAX)
    words = words_of_text(query.text, state.config.language)
    allowed = _allowed_slots(state, options)
    if not len(allowed):
        return InferResult(memory=memory, response="", confidence=0.0, mode="not_learned", patterns=())
    scores = score_patterns(state, keys_SD, words, _checked_channels(options))
    total_a = scores.total_n[allowed] if len(allowed) < state.pattern_count else scores.total_n
    ranked = _ranked(total_a, max(2, options.pattern_limit))
    weights = _softmax(total_a, options.temperature, ranked)[: options.pattern_limit].tolist()
    matches = _matches(state, scores, allowed[ranked[: options.pattern_limit]], weights, options, words)
    confidence = _confidence(state, keys_SD, scores, allowed[ranked[:2]], words)
    if confidence < NOT_LEARNED_BELOW:
        return InferResult(memory=memory, response="", confidence=confidence, mode="not_learned", patterns=matches)
    response = _cut(_compose(matches), options.max_tokens)
    return InferResult(memory=memory, response=response, confidence=confidence, mode="recall", patterns=matches)


def _check_temperature(options: InferOptions) -> None:
    if not 0.0 <= options.temperature <= TEMPERATURE_MAX:
        raise InvalidInput(
            f"The temperature must be between 0 and {TEMPERATURE_MAX:g}.", hint="Leave it out for the memory's own."
        )
    if options.max_tokens is not None and options.max_tokens < 1:
        raise InvalidInput("max_tokens must be at least 1.", hint="Leave it out for the whole response.")


def _checked_channels(options: InferOptions) -> tuple[Channel, ...]:
    if options.channels is None:
        return CHANNELS
    unknown = set(options.channels) - set(CHANNELS)
    if unknown or not options.channels:
        raise InvalidInput(
            f"Unknown channels: {', '.join(sorted(map(ascii, unknown))) or 'none given'}.",
            hint=f"Use some of {', '.join(CHANNELS)}, or leave channels out.",
        )
    return options.channels


def _allowed_slots(state: MemoryState, options: InferOptions) -> np.ndarray:
    if options.domain is None and not options.metadata and _time_of(options).is_open:
        return np.arange(state.pattern_count)
    time = _time_of(options)
    fits = [any(_fits(exemplar, options, time) for exemplar in slot) for slot in state.bank.exemplars]
    return np.flatnonzero(fits)


def _time_of(options: InferOptions) -> TimeRange:
    return TimeRange.between(options.occurred_from, options.occurred_to)


def _fits(exemplar: Exemplar, options: InferOptions, time: TimeRange) -> bool:
    if not time.holds(exemplar.occurred_at):
        return False
    if options.domain is not None and exemplar.domain != options.domain:
        return False
    return all(exemplar.metadata.get(name) == value for name, value in options.metadata.items())


def _matches(
    state: MemoryState,
    scores: ChannelScores,
    best_k: np.ndarray,
    weights: list[float],
    options: InferOptions,
    words: list[WordId],
) -> tuple[PatternMatch, ...]:
    time = _time_of(options)
    return tuple(
        PatternMatch(
            pattern=PatternId(state.bank.pattern_id(slot)),
            weight=weight,
            exemplars=most_relevant_first(
                state.words,
                state.config.language,
                words,
                tuple(item for item in state.bank.exemplars[slot] if _fits(item, options, time)),
            ),
            channels={name: float(part_n[slot]) for name, part_n in scores.parts.items()},
        )
        for slot, weight in zip(best_k.tolist(), weights, strict=True)
    )


def _ranked(scores_n: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` highest scores, highest first; of equal ones the first counts as higher."""
    first = np.flatnonzero(scores_n >= scores_n[highest_of(scores_n, count)].min())
    ranked: np.ndarray = first[np.argsort(-scores_n[first], kind="stable")[:count]]
    return ranked


def _softmax(total_n: np.ndarray, temperature: float, ranked_k: np.ndarray) -> np.ndarray:
    """Shares of the patterns that come first, of what all have."""
    weights_k: np.ndarray = np.eye(1, len(ranked_k))[0]
    if temperature:
        weights_n = total_n - total_n[ranked_k[0]]
        weights_n /= np.float32(temperature)
        np.exp(weights_n, out=weights_n)
        weights_k[:] = weights_n[ranked_k] / weights_n.sum()
    return weights_k


def _cut(response: str, max_tokens: int | None) -> str:
    """The first words and marks; a response that was cut says so."""
    if max_tokens is None:
        return response
    ends = [found.end() for found in islice(_TOKEN.finditer(response), max_tokens + 1)]
    return response if len(ends) <= max_tokens else f"{response[: ends[-2]]} …"


def _confidence(
    state: MemoryState, keys_SD: torch.Tensor, scores: ChannelScores, best_two: np.ndarray, words: list[WordId]
) -> float:
    """Probability that the response answers: from the best pattern's cosine, words and lead (see docs/log.md)."""
    best = int(best_two[0])
    cosine = float(mean_row(state.bank.units.scores_of(best_two[:1], keys_SD))[0])
    explained = explained_share(state.words, best, words)
    margin = min(MARGIN_MAX, float(-np.diff(scores.total_n[best_two])[0])) if len(best_two) > 1 else 0.0
    logit = CONFIDENCE_BIAS + CONFIDENCE_COSINE * cosine + CONFIDENCE_WORDS * explained
    logit += CONFIDENCE_MARGIN * margin
    return 1.0 / (1.0 + math.exp(-logit))


def _compose(matches: tuple[PatternMatch, ...]) -> str:
    kept = [match for match in matches[:3] if match.weight >= 0.5 * matches[0].weight]
    return "\n".join(dict.fromkeys(match.exemplars[0].text for match in kept))


def _recommend(score: float, similarity: float) -> tuple[Recommendation, str]:
    if score < SKIP_BELOW:
        return "skip", "Already known: a stored pattern explains this text."
    if score > LEARN_ABOVE:
        return "learn", "New: no stored pattern is close to this text."
    return "consolidate", f"Related to what is known (cosine {similarity:.2f}) but not the same."
