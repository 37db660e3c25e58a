"""RayBackend over hosts in this process: the backend suite with everything but Ray itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cluster import ray_api
from cluster.host_meter import NoMeter
from cluster.packed import pack_call, unpack_answer
from cluster.placement import Needs
from cluster.ray_api import OwnerLost
from cluster.ray_backend import RayBackend
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.testing.backend_conformance import BackendConformance
from memory_core.testing.small_memory import small_config


class InProcess:
    """Named owners as plain objects. A killed one is forgotten; handles to it lead nowhere."""

    def __init__(self) -> None:
        self.owners: dict[str, Any] = {}

    def owner_of(self, actor_name: str, kind: type, needs: Needs, *args: Any) -> Any:
        return self.owners.setdefault(actor_name, kind(*args))

    def find_owner(self, actor_name: str) -> Any:
        return self.owners.get(actor_name)

    def end_owner(self, owner: Any) -> None:
        self.owners = {name: other for name, other in self.owners.items() if other is not owner}

    async def call(self, owner: Any, method: str, *args: Any, timeout_s: float, **options: Any) -> Any:
        if owner not in self.owners.values():
            raise OwnerLost("killed")
        answer = await asyncio.wait_for(owner.packed(method, pack_call(args, options)), timeout_s)
        return unpack_answer(answer)


class TestOverHosts(BackendConformance):
    @pytest.fixture
    async def config(self) -> MemoryConfig:
        return small_config()

    @pytest.fixture
    async def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MemoryBackend]:
        self.owners = InProcess()
        for function in ("owner_of", "find_owner", "end_owner", "call"):
            monkeypatch.setattr(ray_api, function, getattr(self.owners, function))
        monkeypatch.setattr(ray_api, "own_node", lambda: "here")
        monkeypatch.setattr(ray_api, "RayMeter", NoMeter)
        encoders = LocalEncoderPool()
        yield RayBackend((tmp_path / "volume").as_uri(), encoders)
        encoders.close()

    async def restart(self, backend: MemoryBackend) -> MemoryBackend:
        self.owners.owners.clear()
        return backend
