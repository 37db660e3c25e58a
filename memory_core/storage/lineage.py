"""Which journal positions a state was learned from, so that a restore can say exactly what it gives up.

A lineage is a tuple of spans ``(first_seq, last_seq, observation_count)``, the count being that of the state at
``last_seq``. Positions are never reused, so two lineages share history exactly as far as their spans agree. A span
is opened only where a restore jumped back; without restores there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.ids import Seq


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive positions without a jump; ``observation_count`` is the state's count at ``last_seq``."""

    first_seq: Seq
    last_seq: Seq
    observation_count: int


Lineage = tuple[Span, ...]


def extended(lineage: Lineage, first_seq: Seq, last_seq: Seq, observation_count: int) -> Lineage:
    """The lineage after positions first_seq..last_seq were used."""
    if lineage and lineage[-1].last_seq + 1 == first_seq:
        return (*lineage[:-1], Span(lineage[-1].first_seq, last_seq, observation_count))
    return (*lineage, Span(first_seq, last_seq, observation_count))


def common_observation_count(one: Lineage, other: Lineage) -> int:
    """How many observations the newest common ancestor of two states had."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left.first_seq != right.first_seq:
            break
        count = min(left, right, key=lambda span: span.last_seq).observation_count
        if left.last_seq != right.last_seq:
            break
    return count
