"""Which history a state has, so that a restore can say exactly what it gives up.

A restore goes back to the position of its checkpoint and opens a new branch there, so positions alone do not name an
observation: branch and position do. A lineage is the path to a state, one span per branch it came through.
"""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.ids import Seq


@dataclass(frozen=True, slots=True)
class Span:
    """How far a state follows a branch: up to ``last_seq``, where it had ``observation_count`` observations."""

    branch: str
    last_seq: Seq
    observation_count: int


Lineage = tuple[Span, ...]

NEW_LINEAGE: Lineage = (Span("", Seq(0), 0),)


def advanced(lineage: Lineage, last_seq: Seq, observation_count: int) -> Lineage:
    """The lineage after more positions on its newest branch."""
    return (*lineage[:-1], Span(lineage[-1].branch, last_seq, observation_count))


def branched(lineage: Lineage, branch: str) -> Lineage:
    """The lineage of a state that goes on from here on a branch of its own; ``branch`` is a unique id."""
    return (*lineage, Span(branch, lineage[-1].last_seq, lineage[-1].observation_count))


def is_ancestor(one: Lineage, other: Lineage) -> bool:
    """True when the other state came through the one."""
    if len(one) > len(other):
        return False
    *path, end = zip(one, other, strict=False)
    is_same_path = all((left.branch, left.last_seq) == (right.branch, right.last_seq) for left, right in path)
    return is_same_path and end[0].branch == end[1].branch and end[0].last_seq <= end[1].last_seq


def common_observation_count(one: Lineage, other: Lineage) -> int:
    """How many observations the newest common ancestor of two states had."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left.branch != right.branch:
            break
        count = min(left, right, key=lambda span: span.last_seq).observation_count
        if left.last_seq != right.last_seq:
            break
    return count
