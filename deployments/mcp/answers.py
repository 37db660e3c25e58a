"""Answers that differ from what the backend returns; all others are those of ``memory_core``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory_core.ids import MemoryName, PatternId, Seq
from memory_core.insight_results import AttentionMap
from memory_core.results import InferResult, ObserveResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveAnswer:
    """What one context did. A long one is learned in ``parts``: surprise is their mean, weight_delta their sum.

    ``seq``: position of the last part. ``is_replayed_answer``: the idempotency key was known, nothing was learned now.
    ``is_quarantined``: its source is not trusted, so it waits and the memory does not know it.
    """

    memory: MemoryName
    seq: Seq
    parts: int
    surprise: float
    weight_delta: float
    learned: bool
    patterns_activated: tuple[PatternId, ...]
    capacity_used: float
    observation_count: int
    is_replayed_answer: bool
    is_quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InferAnswer(InferResult):
    """An answer; ``attention`` only when asked for."""

    attention: AttentionMap | None = None


def observe_answer(results: Sequence[ObserveResult]) -> ObserveAnswer:
    """One answer for the parts of one context, in order; at least one."""
    outcomes = [outcome for result in results for outcome in result.outcomes]
    activated = dict.fromkeys(pattern for outcome in outcomes for pattern in outcome.patterns_activated)
    last = results[-1]
    return ObserveAnswer(
        memory=last.memory,
        seq=outcomes[-1].seq,
        parts=len(outcomes),
        surprise=sum(outcome.surprise for outcome in outcomes) / len(outcomes),
        weight_delta=sum(outcome.weight_delta for outcome in outcomes),
        learned=any(outcome.learned for outcome in outcomes),
        patterns_activated=tuple(activated),
        capacity_used=last.capacity_used,
        observation_count=last.observation_count,
        is_replayed_answer=all(result.is_replayed_answer for result in results),
        is_quarantined=last.is_quarantined,
    )
