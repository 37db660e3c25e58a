"""What a standby saves: the owner's process is killed, and the next observation waits until somebody owns the memory.

Beside it, in the same run, a memory without a standby, which waits for its process to start again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from statistics import median
from typing import Final

from cluster.ray_backend import RayBackend
from deployments.bench.cluster import FACTS
from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import InferOptions, Observation, ObserveOptions

LOOKS: Final = 10
_SETTLE_S: Final = 180.0
_PAUSE_S: Final = 0.02

Advance = Callable[[int], None]


async def run_standby(backend: RayBackend, config: MemoryConfig, *, rounds: int, advance: Advance) -> dict[str, float]:
    """All figures. Both memories have a process of their own, so that a kill touches nothing else."""
    guarded, plain = MemoryName("guarded"), MemoryName("plain")
    waits_ms: dict[MemoryName, list[float]] = {guarded: [], plain: []}
    learned = dict.fromkeys(waits_ms, 0)
    for name in waits_ms:
        placement = PlacementSpec(isolation="dedicated", standby=name is guarded)
        await backend.create(name, config.with_changes(placement=placement))
        learned[name] = await _learn(backend, name, FACTS)
    for number in range(rounds):
        await _until_followed(backend, guarded, learned[guarded])
        for name, waits in waits_ms.items():
            os.kill(await backend.owner_pid(name), signal.SIGKILL)
            began_s = time.perf_counter()
            learned[name] += await _learn(backend, name, 1, f"after kill {number}")
            waits.append((time.perf_counter() - began_s) * 1000)
            advance(1)
    await _until_followed(backend, guarded, learned[guarded])
    behind_ms = [await _behind_ms(backend, guarded, learned, advance) for _ in range(LOOKS)]
    counts = {name: (await backend.stats(name)).observation_count for name in learned}
    return {
        "takeover_ms": median(waits_ms[guarded]),
        "takeover_ms_max": max(waits_ms[guarded]),
        "restart_ms": median(waits_ms[plain]),
        "restart_ms_max": max(waits_ms[plain]),
        "behind_ms": median(behind_ms),
        "lost": sum(max(0, learned[name] - counts[name]) for name in learned),
        "doubled": sum(max(0, counts[name] - learned[name]) for name in learned),
    }


async def _learn(backend: RayBackend, name: MemoryName, count: int, about: str = "at first") -> int:
    facts = [Observation(text=f"Fact {number} {about} is {number * 7}.") for number in range(count)]
    await backend.observe(name, facts, ObserveOptions())
    return count


async def _until_followed(backend: RayBackend, name: MemoryName, seq: int) -> None:
    """Until the owner is where it belongs and its standby, elsewhere, knows all that was learned."""
    async with asyncio.timeout(_SETTLE_S):
        while True:
            await backend.stats(name)
            found = await backend.placement(name)
            if found.standby is not None and (found.standby.status, found.standby.seq) == ("follows", seq):
                return
            await asyncio.sleep(_PAUSE_S)


async def _behind_ms(backend: RayBackend, name: MemoryName, learned: dict[MemoryName, int], advance: Advance) -> float:
    """From an acknowledgement until the standby answers from it."""
    learned[name] += await _learn(backend, name, 1, "is awaited")
    began_s = time.perf_counter()
    async with asyncio.timeout(_SETTLE_S):
        while True:
            answer = await backend.infer(name, "Fact 0", InferOptions(consistency="any"))
            if answer.served_by == "standby" and (answer.seq or 0) >= learned[name]:
                break
            await asyncio.sleep(_PAUSE_S)
    advance(1)
    return (time.perf_counter() - began_s) * 1000
