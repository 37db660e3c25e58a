"""A wandering crowd over hosts in this process: what is learned while memories leave and come back is all there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import ray_api
from cluster.host_meter import NoMeter
from cluster.memory_host import HostLimits, HostReport
from cluster.ray_backend import ClusterSettings, RayBackend
from deployments.bench.population import PopulationPlan, run_population
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.state import MemoryState
from memory_core.testing.small_memory import small_config
from tests.unit.cluster.test_backend_without_ray import InProcess


async def test_nothing_is_lost_while_memories_leave_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = InProcess()
    for function in ("owner_of", "find_owner", "end_owner", "call"):
        monkeypatch.setattr(ray_api, function, getattr(owners, function))
    monkeypatch.setattr(ray_api, "RayMeter", NoMeter)
    monkeypatch.setattr(ray_api, "own_node", lambda: "here")
    encoders, config = LocalEncoderPool(), small_config()
    room = 6 * MemoryState.create(config).allocated_bytes
    settings = ClusterSettings(limits=HostLimits(resident_bytes_max=room, idle_ttl_s=0.2))
    backend = RayBackend((tmp_path / "volume").as_uri(), encoders, settings)

    async def reports() -> list[HostReport]:
        return [await owner.report() for name, owner in owners.owners.items() if name.startswith("host:")]

    plan = PopulationPlan(memories=40, active=8, seconds=3)
    figures, errors = await run_population(backend, config, plan, reports, lambda _: None)
    assert (figures["lost"], figures["doubled"], errors) == (0, 0, {})
    assert figures["acknowledged"] > 0
    encoders.close()
