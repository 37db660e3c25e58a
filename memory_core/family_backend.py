"""The part of the seam that makes many forks of a memory and chooses among them. See ``backend``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memory_core.family_results import (
    CompareResult,
    FamilyObserveResult,
    FanOutResult,
    ForkFamily,
    Probe,
    PromoteResult,
)
from memory_core.ids import MemoryName, Tag
from memory_core.results import Observation, ObserveOptions


class FamilyBackend(Protocol):
    """Every method raises ``NeuralMemoryError`` subclasses only; an unknown name raises NotFound."""

    async def fork_many(self, name: MemoryName, tag: Tag, new_name: MemoryName, count: int) -> FanOutResult:
        """``new_name-1`` to ``new_name-count`` from one checkpoint, at once; all of them exist, or none.

        Copies no blob. Conflict (MEMORY_EXISTS) when one of the names is taken.
        """
        ...

    async def family(self, name: MemoryName) -> ForkFamily:
        """The forks of a memory. Reads the listing of the volume."""
        ...

    async def observe_all(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> FamilyObserveResult:
        """The same observations for every fork; NotFound (NO_FORKS) when there is none.

        Raises when any fork refused; a repetition with the same request id completes it and learns nothing twice.
        """
        ...

    async def compare(self, name: MemoryName, probes: Sequence[Probe]) -> CompareResult:
        """Which fork learned more, by what it recalls of the probes; changes nothing. NotFound (NO_FORKS)."""
        ...

    async def promote(self, fork: MemoryName, tag: Tag) -> PromoteResult:
        """Make a fork's version its parent's state, in one instant; both keep all their versions.

        The version is the fork's checkpoint ``tag``, made now if there is none. The parent keeps what it was as
        ``before-<tag>`` and gets ``tag`` too. A repetition is safe. InvalidInput (NOT_A_FORK), Conflict.
        """
        ...
