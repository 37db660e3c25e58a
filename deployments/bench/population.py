"""Many memories, few active at a time: eight clients learn and ask in a window that wanders over all of them.

Hosts have room for the window and little more, so that memories leave and come back all the time. The model counts as
in ``chaos``: every acknowledged observation has a position of its own, and memories hold as many as were acknowledged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cluster.memory_host import HostReport
from deployments.bench.report import percentile
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.errors import NeuralMemoryError
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, Observation, ObserveOptions

CLIENTS: Final = 8
_MOVE_EVERY_S: Final = 1.0
_MOVED: Final = 5
_WRITES: Final = 0.5
_CREATED_AT_ONCE: Final = 8
_MIB: Final = 1 << 20

Advance = Callable[[int], None]
Reports = Callable[[], Awaitable[list[HostReport]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationPlan:
    """memories: in all; active: called at a time."""

    memories: int
    active: int
    seconds: float
    seed: int = 0


@dataclass(slots=True)
class _Course:
    window: list[MemoryName]
    positions: dict[MemoryName, list[int]] = field(default_factory=dict)
    waits_ms: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


async def run_population(
    backend: MemoryBackend, config: MemoryConfig, plan: PopulationPlan, reports: Reports, advance: Advance
) -> tuple[dict[str, float], Counter[str]]:
    """Figures, and errors by code."""
    names = [MemoryName(f"p{number}") for number in range(plan.memories)]
    began_s = time.monotonic()
    await _created(backend, config, names, advance)
    created_s = time.monotonic() - began_s
    draw = random.Random(plan.seed)
    course = _Course(window=draw.sample(names, min(plan.active, len(names))))
    until_s = time.monotonic() + plan.seconds
    clients = [
        _client(backend, course, random.Random(plan.seed + number), until_s, advance) for number in range(CLIENTS)
    ]
    await asyncio.gather(_wander(names, course, draw, until_s), _weigh(reports, course, until_s), *clients)
    counts = await _counted(backend, list(course.positions), advance)
    return _figures(plan, course, counts, created_s) | await _hosts(reports), course.errors


async def _created(backend: MemoryBackend, config: MemoryConfig, names: Sequence[MemoryName], advance: Advance) -> None:
    for start in range(0, len(names), _CREATED_AT_ONCE):
        part = names[start : start + _CREATED_AT_ONCE]
        await asyncio.gather(*(backend.create(name, config) for name in part))
        advance(len(part))


async def _counted(backend: MemoryBackend, names: Sequence[MemoryName], advance: Advance) -> dict[MemoryName, int]:
    """What each memory holds; most have to come back for it."""
    counts: dict[MemoryName, int] = {}
    for start in range(0, len(names), CLIENTS):
        part = names[start : start + CLIENTS]
        stats = await asyncio.gather(*(backend.stats(name) for name in part))
        counts |= {name: one.observation_count for name, one in zip(part, stats, strict=True)}
        advance(len(part))
    return counts


async def _client(
    backend: MemoryBackend, course: _Course, draw: random.Random, until_s: float, advance: Advance
) -> None:
    while time.monotonic() < until_s:
        name, began_s = draw.choice(course.window), time.monotonic()
        try:
            if draw.random() < _WRITES:
                text = f"Item {draw.getrandbits(40)} of {name} costs {draw.random():.4f}."
                told = await backend.observe(name, [Observation(text=text)], ObserveOptions())
                course.positions.setdefault(name, []).append(told.outcomes[0].seq)
            else:
                await backend.infer(name, "What does it cost?", InferOptions())
        except NeuralMemoryError as error:
            course.errors[error.code] += 1
        course.waits_ms.append((time.monotonic() - began_s) * 1000)
        advance(1)


async def _wander(names: Sequence[MemoryName], course: _Course, draw: random.Random, until_s: float) -> None:
    while time.monotonic() < until_s:
        await asyncio.sleep(_MOVE_EVERY_S)
        course.window = course.window[_MOVED:] + draw.sample(names, min(_MOVED, len(course.window)))


async def _weigh(reports: Reports, course: _Course, until_s: float) -> None:
    while time.monotonic() < until_s:
        course.rss_mib.append(sum(host.rss_bytes for host in await reports()) / _MIB)
        await asyncio.sleep(_MOVE_EVERY_S)


async def _hosts(reports: Reports) -> dict[str, float]:
    hosts = await reports()
    return {
        "hosts": len(hosts),
        "activations": sum(host.activations for host in hosts),
        "passivations": sum(host.passivations for host in hosts),
    }


def _figures(
    plan: PopulationPlan, course: _Course, counts: dict[MemoryName, int], created_s: float
) -> dict[str, float]:
    half = len(course.rss_mib) // 2
    acknowledged = sum(map(len, course.positions.values()))
    distinct = {name: len(set(positions)) for name, positions in course.positions.items()}
    return {
        "created_per_s": plan.memories / created_s,
        "calls_per_s": len(course.waits_ms) / plan.seconds,
        "call_ms_p50": percentile(course.waits_ms, 50),
        "call_ms_p99": percentile(course.waits_ms, 99),
        "touched": len(course.positions),
        "acknowledged": acknowledged,
        "errors": sum(course.errors.values()),
        "lost": acknowledged - sum(distinct.values()) + sum(max(0, distinct[name] - counts[name]) for name in counts),
        "doubled": sum(max(0, counts[name] - distinct[name]) for name in counts),
        "rss_mib_first_half_max": max(course.rss_mib[:half], default=0.0),
        "rss_mib_second_half_max": max(course.rss_mib[half:], default=0.0),
        "rss_mib_last_quarter_max": max(course.rss_mib[-max(1, half // 2) :], default=0.0),
    }
