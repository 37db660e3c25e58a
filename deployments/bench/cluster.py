"""What the cluster costs: creation, activation, calls to one and many memories, RAM per memory, fan-out of forks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any, Final

from cluster.holders import drained, host_reports
from cluster.ray_backend import RayBackend
from deployments.bench.report import percentile
from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName, Tag
from memory_core.results import InferOptions, Observation, ObserveOptions

MIB: Final = 1 << 20
ROOM_MIB: Final = 8192
FACTS: Final = 20
CLIENTS: Final = 8
FORKS: Final = 16
CROWDS: Final = (1, 10, 100)
_TIMEOUT_S: Final = 60.0

Advance = Callable[[int], None]


async def run_cluster(
    backend: RayBackend, config: MemoryConfig, *, memories: int, seconds: float, advance: Advance
) -> dict[str, float]:
    """All figures, of memories with these settings."""
    figures, names = await _creation(backend, config, memories, advance)
    for crowd in CROWDS:
        if crowd <= memories:
            figures[f"calls_per_s_{crowd}"] = await _calls_per_s(backend, names[:crowd], seconds, advance)
    figures |= await _activation(backend, names, advance)
    figures |= await _room(backend, names)
    figures["fork16_ms"] = await _fork_fan_out(backend, names[0])
    return figures


async def _creation(
    backend: RayBackend, config: MemoryConfig, memories: int, advance: Advance
) -> tuple[dict[str, float], list[MemoryName]]:
    names = [MemoryName(f"m{number}") for number in range(memories)]
    times_ms = []
    for name in names:
        times_ms.append(await _ms(backend.create(name, config)))
        advance(1)
    first_ms = await _ms(_tell(backend, names[0]))
    for name in names[1:]:
        await _tell(backend, name)
        advance(FACTS)
    figures = {
        "create_ms_cold": times_ms[0],
        "create_ms_warm": median(times_ms[1:]),
        "first_call_ms_cold": first_ms,
    }
    return figures, names


async def _tell(backend: RayBackend, name: MemoryName) -> None:
    facts = [Observation(text=f"Fact {number} of {name} is {number * 7}.") for number in range(FACTS)]
    await backend.observe(name, facts, ObserveOptions())


async def _calls_per_s(backend: RayBackend, names: Sequence[MemoryName], seconds: float, advance: Advance) -> float:
    """Questions answered a second, asked by CLIENTS at once."""
    for name in names:
        await backend.infer(name, "Fact 3", InferOptions())
    began_s, draw, calls = time.monotonic(), random.Random(7), 0

    async def ask() -> None:
        nonlocal calls
        while time.monotonic() < began_s + seconds:
            await backend.infer(draw.choice(names), "Fact 3", InferOptions())
            calls += 1
            advance(1)

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return calls / (time.monotonic() - began_s)


async def _activation(backend: RayBackend, names: Sequence[MemoryName], advance: Advance) -> dict[str, float]:
    """Time of the first call to a passive memory."""
    await drained(_TIMEOUT_S)
    times_ms = []
    for name in names:
        times_ms.append(await _ms(backend.infer(name, "Fact 3", InferOptions())))
        advance(1)
    return {"activate_ms_p50": median(times_ms), "activate_ms_p99": percentile(times_ms, 99)}


async def _room(backend: RayBackend, names: Sequence[MemoryName]) -> dict[str, float]:
    """RAM of hosts with all memories resident, beside that of the same hosts with none."""
    full = await host_reports(_TIMEOUT_S)
    await drained(_TIMEOUT_S)
    empty = await host_reports(_TIMEOUT_S)
    base_mib = sum(host.rss_bytes for host in empty) / MIB
    per_memory_mib = (sum(host.rss_bytes for host in full) / MIB - base_mib) / len(names)
    return {
        "rss_mib_per_memory": per_memory_mib,
        "rss_mib_per_host": base_mib / len(empty),
        "resident_in_8gib": (ROOM_MIB - base_mib) // per_memory_mib,
    }


async def _fork_fan_out(backend: RayBackend, name: MemoryName) -> float:
    """From the request for FORKS forks of one checkpoint until each has answered a question."""
    await backend.checkpoint(name, Tag("fan-out"))

    async def fork(number: int) -> None:
        child = MemoryName(f"{name}-fork-{number}")
        await backend.fork(name, Tag("fan-out"), child)
        await backend.infer(child, "Fact 3", InferOptions())

    return await _ms(asyncio.gather(*(fork(number) for number in range(FORKS))))


async def _ms(work: Awaitable[Any]) -> float:
    began_s = time.perf_counter()
    await work
    return (time.perf_counter() - began_s) * 1000
