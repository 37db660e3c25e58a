"""Benchmarks that need Ray: they start a cluster of simulated nodes on this machine, and end it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from cluster.holders import host_reports
from cluster.memory_host import HostLimits
from cluster.ray_backend import ClusterSettings, RayBackend
from cluster.simulated_nodes import simulated_nodes
from deployments.bench.chaos import CLIENTS, ChaosPlan, run_chaos
from deployments.bench.cluster import ROOM_MIB, run_cluster
from deployments.bench.population import PopulationPlan, run_population
from deployments.bench.progress import Progress
from deployments.bench.report import Report, conditions
from deployments.bench.sizing import CallCost, compare, measure_cost
from deployments.bench.standby import run_standby
from deployments.bench.victims import KINDS, ServiceProcesses
from deployments.http_client import RemoteBackend
from deployments.memory_spec import complete_config
from deployments.ports import free_port
from deployments.settings import MIB, Settings
from memory_core.config import MemoryConfig
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.state import MemoryState

NODES: Final = 3
SIZING_NODES: Final = 2
STANDBY_NODES: Final = 2
MEMORIES_UNDER_CHAOS: Final = 12
SMALL: Final = {"units": 256, "rows": 256, "heads": 4, "active_rows": 16}
_ENCODER: Final = EncoderId("hash")
_REPORT_TIMEOUT_S: Final = 60.0
_STANDBY_DEADLINE_S: Final = 180.0


def cluster_report(folder: Path, *, memories: int, seconds: float, is_small: bool, progress: Progress) -> Report:
    """See ``deployments.bench.cluster``."""
    budget = SMALL if is_small else {}
    settings = ClusterSettings(limits=HostLimits(resident_bytes_max=ROOM_MIB * MIB))
    encoders = LocalEncoderPool()

    async def measured() -> dict[str, float]:
        backend = RayBackend((folder / "volume").as_uri(), encoders, settings)
        config = await complete_config(encoders, _ENCODER, dict(budget))
        return await run_cluster(backend, config, memories=memories, seconds=seconds, advance=progress.advance)

    with simulated_nodes(NODES), contextlib.closing(encoders):
        figures = asyncio.run(measured())
    told = conditions(
        encoder=_ENCODER,
        variant="sparse",
        budget=budget or "default",
        nodes=NODES,
        hosts=settings.shared_hosts,
        n=memories,
    )
    return Report(bench="cluster", figures=figures, conditions=told)


def sizing_report(folder: Path, *, memories: int, seconds: float, progress: Progress) -> Report:
    """See ``deployments.bench.sizing``."""
    settings = ClusterSettings(limits=HostLimits(resident_bytes_max=ROOM_MIB * MIB))
    encoders = LocalEncoderPool()

    async def opened(volume: str) -> tuple[RayBackend, MemoryConfig]:
        config = await complete_config(encoders, _ENCODER, {})
        return RayBackend((folder / volume).as_uri(), encoders, settings), config

    async def cost() -> CallCost:
        backend, config = await opened("one-node")
        return await measure_cost(backend, config, seconds=seconds, advance=progress.advance)

    async def compared(found: CallCost) -> dict[str, float]:
        backend, config = await opened("two-nodes")
        return await compare(backend, config, found, memories=memories, seconds=seconds, advance=progress.advance)

    with contextlib.closing(encoders):
        with simulated_nodes(1):
            found = asyncio.run(cost())
        with simulated_nodes(SIZING_NODES):
            figures = asyncio.run(compared(found))
    told = conditions(
        encoder=_ENCODER, variant="sparse", budget="default", nodes=SIZING_NODES, n=memories, seconds=seconds
    )
    return Report(bench="sizing", figures=figures, conditions=told)


def population_report(folder: Path, plan: PopulationPlan, *, is_small: bool, progress: Progress) -> Report:
    """See ``deployments.bench.population``. Hosts have room for half as many again as are active: ``room_mib``."""
    budget = SMALL if is_small else {}
    encoders = LocalEncoderPool()

    async def measured() -> tuple[dict[str, float], Any]:
        config = await complete_config(encoders, _ENCODER, dict(budget))
        rooms = plan.active * 3 // 2 * MemoryState.create(config).allocated_bytes
        room = rooms // ClusterSettings().shared_hosts
        backend = RayBackend(
            (folder / "volume").as_uri(), encoders, ClusterSettings(limits=HostLimits(resident_bytes_max=room))
        )
        reports = partial(host_reports, _REPORT_TIMEOUT_S)
        figures, errors = await run_population(backend, config, plan, reports, progress.advance)
        return {**figures, "room_mib": rooms / MIB}, errors

    with simulated_nodes(NODES), contextlib.closing(encoders):
        figures, errors = asyncio.run(measured())
    told = conditions(encoder=_ENCODER, budget=budget or "default", nodes=NODES, errors=dict(errors), n=plan.memories)
    return Report(bench="population", figures=figures, conditions={**told, **asdict(plan)})


def standby_report(folder: Path, *, rounds: int, is_small: bool, progress: Progress) -> Report:
    """See ``deployments.bench.standby``."""
    budget = SMALL if is_small else {}
    encoders = LocalEncoderPool()

    async def measured() -> dict[str, float]:
        backend = RayBackend(
            (folder / "volume").as_uri(), encoders, ClusterSettings(call_deadline_s=_STANDBY_DEADLINE_S)
        )
        config = await complete_config(encoders, _ENCODER, dict(budget))
        return await run_standby(backend, config, rounds=rounds, advance=progress.advance)

    with simulated_nodes(STANDBY_NODES), contextlib.closing(encoders):
        figures = asyncio.run(measured())
    told = conditions(encoder=_ENCODER, variant="sparse", budget=budget or "default", nodes=STANDBY_NODES, n=rounds)
    return Report(bench="standby", figures=figures, conditions=told)


def chaos_report(folder: Path, *, seconds: float, seed: int, every_s: float, progress: Progress) -> Report:
    """See ``deployments.bench.chaos``."""
    from deployments.serve_process import deploy

    settings = Settings(
        memory_storage_path=str(folder / "volume"), port=free_port(), encoder=_ENCODER, log_level="ERROR", auth="open"
    )
    plan = ChaosPlan(seconds=seconds, seed=seed, kinds=KINDS, kill_every_s=every_s)

    async def measured(victims: ServiceProcesses) -> tuple[dict[str, float], Any]:
        clients = [RemoteBackend(settings.base_url) for _ in range(CLIENTS)]
        names = [MemoryName(f"m{number}") for number in range(MEMORIES_UNDER_CHAOS)]
        try:
            for name in names:
                await clients[0].create_chosen(name, dict(SMALL))
            return await run_chaos(clients, names, victims, plan, progress.advance)
        finally:
            await asyncio.gather(*(client.close() for client in clients))

    with simulated_nodes(NODES) as nodes:
        deploy(settings)
        figures, model = asyncio.run(measured(ServiceProcesses(nodes)))
    told = conditions(
        encoder=_ENCODER,
        seed=seed,
        seconds=seconds,
        every_s=every_s,
        nodes=NODES,
        clients=CLIENTS,
        killed=model.killed(),
        waited_s={kind: round(took_s, 2) for kind, took_s in model.waited_s().items()},
        errors=dict(model.failures),
        untyped=dict(model.untyped),
        n=model.calls,
    )
    return Report(bench="chaos", figures=figures, conditions=told)
