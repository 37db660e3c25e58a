"""The sizing model against a cluster: what one caller costs, what eight are then predicted to get, what they get."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from cluster.holders import host_reports
from cluster.queueing import Network, calls_per_s
from cluster.ray_backend import RayBackend
from deployments.bench.cluster import Advance
from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import InferOptions, Observation, ObserveOptions

CALLERS: Final = 8
FACTS: Final = 20
_TIMEOUT_S: Final = 60.0
_SETTLE_S: Final = 0.5
_SPIN_S: Final = 4.0
_TICKS_S: Final = os.sysconf("SC_CLK_TCK")


async def run_sizing(
    backend: RayBackend, config: MemoryConfig, *, memories: int, seconds: float, advance: Advance
) -> dict[str, float]:
    """Questions to memories in processes of their own, first by one caller, then by CALLERS; each for ``seconds``."""
    names = [MemoryName(f"m{number}") for number in range(memories)]
    config = config.with_changes(placement=PlacementSpec(isolation="dedicated", strategy="spread"))
    for name in names:
        await backend.create(name, config)
        facts = [Observation(text=f"Fact {number} of {name} is {number * 7}.") for number in range(FACTS)]
        await backend.observe(name, facts, ObserveOptions())
        advance(FACTS)
    hosts = await host_reports(_TIMEOUT_S)
    pids = [host.pid for host in hosts]
    await _ask(backend, names, 1, seconds / 4, advance)
    before = [_processor_s(pid) for pid in (os.getpid(), *pids)]
    began_s = time.monotonic()
    alone = await _ask(backend, names, 1, seconds, advance)
    spent_s = time.monotonic() - began_s
    used = [_processor_s(pid) - was for pid, was in zip((os.getpid(), *pids), before, strict=True)]
    front_ms, host_ms = used[0] / alone * 1000, sum(used[1:]) / alone * 1000
    network = Network(
        callers=CALLERS,
        hosts=len(pids),
        cores=await _cores(1 + len(pids)),
        front_ms=front_ms,
        host_ms=host_ms,
        delay_ms=max(spent_s / alone * 1000 - front_ms - host_ms, 0.0),
    )
    predicted = calls_per_s(network)
    began_s = time.monotonic()
    answered = await _ask(backend, names, CALLERS, seconds, advance)
    measured = answered / (time.monotonic() - began_s)
    return {
        "predicted_calls_per_s": predicted,
        "measured_calls_per_s": measured,
        "error_pct": abs(predicted - measured) / measured * 100,
        "alone_calls_per_s": alone / spent_s,
        "front_ms": front_ms,
        "host_ms": host_ms,
        "delay_ms": network.delay_ms,
        "cores": network.cores,
        "hosts": len(pids),
        "nodes_with_hosts": len({host.node for host in hosts}),
    }


async def _ask(backend: RayBackend, names: list[MemoryName], callers: int, seconds: float, advance: Advance) -> int:
    """Questions answered within ``seconds``."""
    ends_s, draw, answered = time.monotonic() + seconds, random.Random(7), 0

    async def ask() -> None:
        nonlocal answered
        while time.monotonic() < ends_s:
            await backend.infer(draw.choice(names), "Fact 3", InferOptions())
            answered += 1
            advance(1)

    await asyncio.gather(*(ask() for _ in range(callers)))
    return answered


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S


async def _cores(processes: int) -> float:
    """Processors that so many busy processes get together, on this machine as it is now."""
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command, start_new_session=True) for _ in range(processes)]
    try:
        await asyncio.sleep(_SETTLE_S)
        before, began_s = sum(_processor_s(one.pid) for one in busy), time.monotonic()
        await asyncio.sleep(_SPIN_S)
        return (sum(_processor_s(one.pid) for one in busy) - before) / (time.monotonic() - began_s)
    finally:
        for one in busy:
            one.kill()
            one.wait()
