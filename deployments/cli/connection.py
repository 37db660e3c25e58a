"""Where a command's memory operations go: a running service, or the volume itself in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from memory_core.backend import MemoryBackend
from memory_core.ids import MemoryName
from memory_core.results import MemoryInfo

_T = TypeVar("_T")


class Connection(MemoryBackend, Protocol):
    """A backend that also completes the settings of a new memory."""

    async def create_chosen(self, name: MemoryName, chosen: dict[str, Any]) -> MemoryInfo:
        """Create with some settings chosen and the rest decided by the encoder."""
        ...


def run(work: Callable[[Connection], Awaitable[_T]], *, url: str | None, is_local: bool) -> _T:
    """Open a connection, do the work, close it."""

    async def opened() -> _T:
        connection = connect(url=url, is_local=is_local)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(opened())


def connect(*, url: str | None, is_local: bool) -> Connection:
    """The service at ``url`` (that of the settings when None), or the local volume."""
    from deployments.settings import Settings

    if is_local:
        from deployments.local import open_local

        return open_local(Settings())
    from deployments.http_client import RemoteBackend

    settings = Settings()
    return RemoteBackend(url or settings.base_url, api_key=settings.api_key)
