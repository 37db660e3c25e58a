"""What the parts of the backend suite share: a few texts, a fresh memory, a way to learn."""

from __future__ import annotations

import uuid

import pytest

from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName, RequestId
from memory_core.results import Observation, ObserveOptions, ObserveResult

CAT = "The grey cat sleeps on the kitchen windowsill every afternoon."
SHIP = "Captain Okafor sailed the freighter Meridian into Lisbon harbour."
ORCHID = "Orchids want filtered light and water once a week."


def fresh_name(prefix: str = "memory") -> MemoryName:
    """A name that no other test uses."""
    return MemoryName(f"{prefix}-{uuid.uuid4().hex[:12]}")


class BackendFixtures:
    """Fixtures and helpers of the suites of a MemoryBackend."""

    async def restart(self, backend: MemoryBackend) -> MemoryBackend:
        """A backend on the same volume after the owners of all memories were lost without a goodbye."""
        raise NotImplementedError

    async def learn(
        self, backend: MemoryBackend, name: MemoryName, *texts: str, request_id: str | None = None
    ) -> ObserveResult:
        """Observe texts in one request."""
        options = ObserveOptions(request_id=None if request_id is None else RequestId(request_id))
        return await backend.observe(name, [Observation(text=text) for text in texts], options)

    @pytest.fixture
    async def name(self, backend: MemoryBackend, config: MemoryConfig) -> MemoryName:
        """A fresh, empty memory."""
        name = fresh_name()
        await backend.create(name, config)
        return name
