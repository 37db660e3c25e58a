"""Forks made, taught, compared and promoted, by the operations of any MemoryBackend."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import fmean
from typing import Final, Protocol, TypeVar

from memory_core.backend import MemoryBackend
from memory_core.errors import Conflict, InvalidInput, NeuralMemoryError, NotFound
from memory_core.family_limits import FORKS_MAX, PROBES_MAX
from memory_core.family_results import (
    CompareResult,
    FamilyObserveResult,
    FanOutResult,
    ForkFamily,
    ForkScore,
    Probe,
    PromoteResult,
)
from memory_core.ids import MemoryName, RequestId, Tag, parse_tag
from memory_core.results import ForkResult, InferOptions, InferResult, Observation, ObserveOptions

BEFORE: Final = "before-"
_AT_ONCE: Final = 16
_PAGE: Final = 1000
_T = TypeVar("_T")


class _Adopting(MemoryBackend, Protocol):
    """A backend whose memories can take a state over."""

    async def _adopt(self, name: MemoryName, fork: MemoryName, tag: Tag, previous_tag: Tag) -> PromoteResult: ...


class FamilyOperations:
    """FamilyBackend for a MemoryBackend that inherits from it."""

    async def fork_many(
        self: MemoryBackend, name: MemoryName, tag: Tag, new_name: MemoryName, count: int
    ) -> FanOutResult:
        """See FamilyBackend."""
        names = fork_names(new_name, count)
        began_s = time.perf_counter()
        made = await asyncio.gather(*(self.fork(name, tag, one) for one in names), return_exceptions=True)
        forks = [one for one in made if isinstance(one, ForkResult)]
        try:
            for failure in made:
                if isinstance(failure, BaseException):
                    raise failure
            await _at_once(self.stats, names)
        except BaseException:
            await asyncio.shield(asyncio.gather(*(_discarded(self, one.memory) for one in forks)))
            raise
        return FanOutResult(
            parent=name,
            parent_tag=tag,
            forks=names,
            weight_hash=forks[0].weight_hash,
            duration_ms=(time.perf_counter() - began_s) * 1000,
        )

    async def family(self: MemoryBackend, name: MemoryName) -> ForkFamily:
        """See FamilyBackend."""
        found: list[MemoryName] = []
        is_known, cursor = False, None
        while True:
            page = await self.list_memories(limit=_PAGE, cursor=cursor)
            is_known = is_known or any(info.name == name for info in page.memories)
            found += [info.name for info in page.memories if parent_of(info.parent) == name]
            if (cursor := page.next_cursor) is None:
                break
        if not is_known:
            await self.list_checkpoints(name, limit=1)  # NotFound, unless it was made meanwhile
        return ForkFamily(parent=name, forks=tuple(found))

    async def observe_all(
        self: MemoryBackend, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> FamilyObserveResult:
        """See FamilyBackend."""
        forks = await _forks(self, name)
        if options.request_id is None:
            options = replace(options, request_id=RequestId(uuid.uuid4().hex))
        answers = await _at_once(lambda fork: self.observe(fork, observations, options), forks)
        return FamilyObserveResult(parent=name, answers=tuple(answers))

    async def compare(self: MemoryBackend, name: MemoryName, probes: Sequence[Probe]) -> CompareResult:
        """See FamilyBackend."""
        if not 1 <= len(probes) <= PROBES_MAX:
            raise InvalidInput(f"{len(probes)} probes were sent; 1 to {PROBES_MAX} are allowed.", hint="Send a sample.")
        forks = await _forks(self, name)
        *scores, baseline = await _at_once(lambda one: _score(self, one, probes), [*forks, name])
        ranked = sorted(scores, key=lambda one: (-one.recall, one.surprise_mean, one.capacity_used))
        return CompareResult(parent=name, probe_count=len(probes), forks=tuple(ranked), baseline=baseline)

    async def promote(self: _Adopting, fork: MemoryName, tag: Tag) -> PromoteResult:
        """See FamilyBackend."""
        previous_tag = parse_tag(BEFORE + tag)
        parent = parent_of((await self.stats(fork)).parent)
        if parent is None:
            raise InvalidInput(f"The memory {fork} is not a fork.", code="NOT_A_FORK", hint="Promote one that is.")
        try:
            await self.checkpoint(fork, tag, f"promoted to {parent}")
        except Conflict as error:
            if error.code != "CHECKPOINT_EXISTS":
                raise
        return await self._adopt(parent, fork, tag, previous_tag)


def fork_names(new_name: MemoryName, count: int) -> tuple[MemoryName, ...]:
    """What the forks of a fan-out are called; InvalidInput. The last one is the longest name."""
    if not 1 <= count <= FORKS_MAX:
        raise InvalidInput(f"{count} forks were asked for; 1 to {FORKS_MAX} are allowed.", hint="Choose fewer.")
    return tuple(MemoryName(f"{new_name}-{number}") for number in range(1, count + 1))


def parent_of(parent: str | None) -> MemoryName | None:
    """The memory of ``name@tag``."""
    return None if parent is None else MemoryName(parent.partition("@")[0])


async def _forks(memories: MemoryBackend, name: MemoryName) -> tuple[MemoryName, ...]:
    forks = (await memories.family(name)).forks
    if not forks:
        raise NotFound(f"The memory {name} has no forks.", code="NO_FORKS", hint="Fork it first.", memory=name)
    return forks


async def _at_once(work: Callable[[MemoryName], Awaitable[_T]], names: Sequence[MemoryName]) -> list[_T]:
    """Results in order, a few in flight; after a failure the others finish before it is raised."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(name: MemoryName) -> _T:
        async with room:
            return await work(name)

    done = await asyncio.gather(*(one(name) for name in names), return_exceptions=True)
    failures = [result for result in done if isinstance(result, BaseException)]
    if failures:
        raise failures[0]
    return [result for result in done if not isinstance(result, BaseException)]


async def _discarded(memories: MemoryBackend, name: MemoryName) -> None:
    with suppress(NeuralMemoryError):
        await memories.delete(name)


async def _score(memories: MemoryBackend, name: MemoryName, probes: Sequence[Probe]) -> ForkScore:
    surprises = await memories.surprise(name, [probe.text for probe in probes])
    answers = [
        await memories.infer(name, probe.question or probe.text, InferOptions(pattern_limit=1)) for probe in probes
    ]
    stats = await memories.stats(name)
    return ForkScore(
        memory=name,
        recall=fmean(_is_found(probe, answer) for probe, answer in zip(probes, answers, strict=True)),
        surprise_mean=fmean(one.score for one in surprises),
        confidence_mean=fmean(answer.confidence for answer in answers),
        capacity_used=stats.capacity_used,
        observation_count=stats.observation_count,
        pattern_count=stats.pattern_count,
    )


def _is_found(probe: Probe, answer: InferResult) -> bool:
    return any(probe.text in exemplar.text for match in answer.patterns for exemplar in match.exemplars)
