"""The backend suite through the HTTP door: what holds in process holds over the wire."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.http_client import RemoteBackend
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore
from memory_core.testing.backend_conformance import BackendConformance
from memory_core.testing.small_memory import small_config

HASH = EncoderId("hash")


async def own_pid(_: MemoryName) -> int:
    return os.getpid()


class TestOverHttp(BackendConformance):
    @pytest.fixture
    async def config(self) -> MemoryConfig:
        return small_config()

    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[MemoryBackend]:
        self.folder = tmp_path
        self.encoders = LocalEncoderPool()
        self.opened: list[MemoryBackend] = []
        yield self.open()
        for backend in self.opened:
            await backend.close()
        self.encoders.close()

    def open(self) -> RemoteBackend:
        backend = LocalBackend(LocalStore(self.folder / "volume"), self.encoders)
        services = Services(
            backend=backend,
            encoders=self.encoders,
            encoder=HASH,
            readiness=Readiness(backend=backend, encoders=self.encoders, encoder=HASH),
            max_body_bytes=4 * 1024 * 1024,
            owner_pid=own_pid,
        )
        remote = RemoteBackend("http://test", transport=httpx.ASGITransport(app=build_api(services)))
        self.opened += [remote, backend]
        return remote

    async def restart(self, backend: MemoryBackend) -> MemoryBackend:
        return self.open()
