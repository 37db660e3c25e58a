"""What operations on the forks of a memory take and return; see ``family_backend``."""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.ids import MemoryName, Tag
from memory_core.results import ObserveResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutResult:
    """Memories that were made together from one checkpoint. duration_ms: until each had answered a first call."""

    parent: MemoryName
    parent_tag: Tag
    forks: tuple[MemoryName, ...]
    weight_hash: str
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkFamily:
    """The forks of a memory in name order: memories that were made from one of its checkpoints."""

    parent: MemoryName
    forks: tuple[MemoryName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyObserveResult:
    """What each fork answered to the same observations, in name order."""

    parent: MemoryName
    answers: tuple[ObserveResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A text that a fork may have learned, and the question to find it by (None: its own words)."""

    text: str
    question: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkScore:
    """How one memory did on the probes.

    recall: share of the probes whose question leads to a pattern with their text, first of all patterns.
    surprise_mean: of the probes' texts. confidence_mean: of the answers.
    """

    memory: MemoryName
    recall: float
    surprise_mean: float
    confidence_mean: float
    capacity_used: float
    observation_count: int
    pattern_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareResult:
    """Forks, the one that learned most first: higher recall, then lower surprise, then less capacity used.

    baseline: the parent on the same probes.
    """

    parent: MemoryName
    probe_count: int
    forks: tuple[ForkScore, ...]
    baseline: ForkScore


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteResult:
    """A fork's version that became its parent's state.

    tag: of that version, on the fork and on the parent. previous_tag: the parent as it was before, None when it was
    the same.
    observations_lost: how many observations of the parent the promoted version does not come from.
    """

    memory: MemoryName
    fork: MemoryName
    tag: Tag
    previous_tag: Tag | None
    weight_hash: str
    observations_lost: int
