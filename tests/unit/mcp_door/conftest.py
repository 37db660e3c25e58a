"""An MCP server over the dictionary backend, spoken to by the SDK's client in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from mcp import Client

from deployments.mcp.caller import Caller, Jobs
from deployments.mcp.server import build_server
from deployments.mcp.tier import Tier
from deployments.memory_spec import complete_spec
from memory_core.ids import EncoderId, MemoryName
from memory_core.results import MemoryInfo
from tests.held_open import held_open
from tests.unit.deployments.fake_backend import FakeBackend, FakeEncoderPool

OWN = MemoryName("own")


class Door:
    """Opens clients on one backend."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.memory: MemoryName | None = OWN
        self.jobs: Jobs | None = None

    def client(self, mode: str = "auto", tier: Tier = "full") -> AbstractAsyncContextManager[Client]:
        return Client(build_server(self.find_caller, tier), mode=mode)  # type: ignore[arg-type]

    async def find_caller(self, _: object) -> Caller:
        return Caller(backend=self.backend, create_chosen=self.create_chosen, memory=self.memory, jobs=self.jobs)

    async def create_chosen(self, name: MemoryName, chosen: dict[str, Any]) -> MemoryInfo:
        spec = await complete_spec(FakeEncoderPool(), EncoderId("hash"), chosen)
        created: MemoryInfo = await self.backend.create(name, spec.config, spec.terms)
        return created


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def door(backend: FakeBackend) -> Door:
    return Door(backend)


@pytest.fixture(params=["auto", "legacy"])
async def client(door: Door, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Every test runs on the newest protocol and through the older handshake."""
    async with held_open(door.client(request.param)) as opened:
        yield opened
