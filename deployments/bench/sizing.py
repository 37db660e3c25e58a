"""The sizing model against a cluster: what a call costs on one node decides what eight callers get of two.

The costs come from a cluster of one node with one process and one caller, which is ended before the other starts; a
second prediction comes from ``cluster/constants.py`` alone. Neither sees anything of the run that it is about.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cluster import ray_api
from cluster.constants import MEASURED
from cluster.holders import host_reports
from cluster.queueing import Network, calls_per_s
from cluster.ray_backend import RayBackend
from deployments.bench.cluster import Advance
from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import InferOptions, Observation, ObserveOptions

CALLERS: Final = 8
NODE_LABEL: Final = "ray.io/node-id"  # that Ray gives each node
FACTS: Final = 20
_TIMEOUT_S: Final = 60.0
_SETTLE_S: Final = 0.5
_SPIN_S: Final = 4.0
_WARM_UP_SHARE: Final = 0.25
_TICKS_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost:
    """A question of one caller. Processor time of the caller and of the host; ``delay_ms``: the rest of its time."""

    front_ms: float
    host_ms: float
    delay_ms: float


async def measure_cost(backend: RayBackend, config: MemoryConfig, *, seconds: float, advance: Advance) -> CallCost:
    """Of one memory in a process of its own on the connected cluster."""
    names = await _taught(backend, config, 1, advance)
    (host,) = await host_reports(_TIMEOUT_S)
    await _ask(backend, names, 1, seconds * _WARM_UP_SHARE, advance)
    before = [_processor_s(pid) for pid in (os.getpid(), host.pid)]
    began_s = time.monotonic()
    answered = await _ask(backend, names, 1, seconds, advance)
    each_ms = (time.monotonic() - began_s) / answered * 1000
    front_ms, host_ms = (
        (_processor_s(pid) - was) / answered * 1000 for pid, was in zip((os.getpid(), host.pid), before, strict=True)
    )
    return CallCost(front_ms=front_ms, host_ms=host_ms, delay_ms=max(each_ms - front_ms - host_ms, 0.0))


async def compare(
    backend: RayBackend, config: MemoryConfig, cost: CallCost, *, memories: int, seconds: float, advance: Advance
) -> dict[str, float]:
    """What CALLERS get of as many processes as memories, beside what is predicted without a look at it.

    Other work on this machine comes and goes, so the processors that are to be had are taken before and afterwards.
    """
    names = await _taught(backend, config, memories, advance)
    hosts = await host_reports(_TIMEOUT_S)
    cores_before = await _cores(1 + memories)
    await _ask(backend, names, CALLERS, seconds * _WARM_UP_SHARE, advance)
    began_s = time.monotonic()
    measured = await _ask(backend, names, CALLERS, seconds, advance) / (time.monotonic() - began_s)
    cores = (cores_before + await _cores(1 + memories)) / 2
    predicted = calls_per_s(_network(cost, memories, cores))
    kept = CallCost(front_ms=MEASURED.submit_ms, host_ms=MEASURED.call_ms, delay_ms=MEASURED.wait_ms)
    from_constants = calls_per_s(_network(kept, memories, cores))
    return {
        "predicted_calls_per_s": predicted,
        "measured_calls_per_s": measured,
        "error_pct": abs(predicted - measured) / measured * 100,
        "from_constants_calls_per_s": from_constants,
        "from_constants_error_pct": abs(from_constants - measured) / measured * 100,
        **asdict(cost),
        "cores": cores,
        "hosts": len(hosts),
        "nodes_with_hosts": len({host.node for host in hosts}),
    }


def _network(cost: CallCost, hosts: int, cores: float) -> Network:
    return Network(callers=CALLERS, hosts=hosts, cores=cores, **asdict(cost))


async def _taught(backend: RayBackend, config: MemoryConfig, memories: int, advance: Advance) -> list[MemoryName]:
    """Memories in processes of their own, one node after the other, with FACTS each."""
    names = [MemoryName(f"m{number}") for number in range(memories)]
    # Ray's own SPREAD may choose one node twice.
    nodes = itertools.cycle(node.node_id for node in await asyncio.to_thread(ray_api.nodes))
    for name, node in zip(names, nodes, strict=False):
        here = PlacementSpec(isolation="dedicated", labels=(f"{NODE_LABEL}={node}",))
        await backend.create(name, config.with_changes(placement=here))
        facts = [Observation(text=f"Fact {number} of {name} is {number * 7}.") for number in range(FACTS)]
        await backend.observe(name, facts, ObserveOptions())
        advance(FACTS)
    return names


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
