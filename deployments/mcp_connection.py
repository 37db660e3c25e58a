"""What ``neural-memory mcp`` answers from: a running service, or the volume itself in this process."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from deployments.mcp.caller import Caller, Jobs
from deployments.settings import Settings
from memory_core.backend import MemoryBackend
from memory_core.ids import MemoryName
from memory_core.results import MemoryInfo


class Connection(MemoryBackend, Protocol):
    """A backend that also completes the settings of a new memory."""

    async def create_chosen(self, name: MemoryName, chosen: dict[str, Any]) -> MemoryInfo:
        """Create with some settings chosen and the rest decided by the encoder."""
        ...


class LazyConnection:
    """Opened by the first call that needs a memory: what it takes to open one is slow to load."""

    def __init__(self, settings: Settings, url: str | None, is_local: bool, memory: MemoryName) -> None:
        self._settings = settings
        self._url = url
        self._is_local = is_local
        self._memory = memory
        self._opening = asyncio.Lock()
        self._opened: Connection | None = None

    async def find_caller(self, _: object | None) -> Caller:
        """The one who started this process."""
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self._open)
        opened = self._opened
        jobs = None if self._is_local else cast("Jobs", opened)
        return Caller(backend=opened, create_chosen=opened.create_chosen, memory=self._memory, jobs=jobs)

    async def close(self) -> None:
        """Release what was opened."""
        if self._opened is not None:
            await self._opened.close()

    def _open(self) -> Connection:
        if self._is_local:
            from deployments.local import open_local

            return open_local(self._settings)
        from deployments.http_client import RemoteBackend

        return RemoteBackend(self._url or self._settings.base_url, api_key=self._settings.api_key)
