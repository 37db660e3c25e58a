"""The part of the HTTP client that is about quarantine; see ``http_client``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeVar

from deployments.access.quarantine import Choice, Settled, Waiting
from memory_core.ids import MemoryName

_Answer = TypeVar("_Answer")


class RemoteQuarantine:
    """What waits beside a memory of a running service."""

    async def _ask(self, kind: type[_Answer], method: str, path: str, body: object = None, **extra: Any) -> _Answer:
        """Send one request and read its answer."""
        raise NotImplementedError

    async def waiting(self, name: MemoryName, *, limit: int = 100, cursor: str | None = None) -> Waiting:
        """Observations that wait, in order."""
        params = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
        return await self._ask(Waiting, "GET", f"/v1/memories/{name}/quarantine", params=params)

    async def release(self, name: MemoryName, choice: Choice) -> Settled:
        """Let observations in."""
        return await self._ask(Settled, "POST", f"/v1/memories/{name}/quarantine/release", asdict(choice))

    async def discard(self, name: MemoryName, choice: Choice) -> Settled:
        """Throw observations away. This cannot be undone."""
        return await self._ask(Settled, "POST", f"/v1/memories/{name}/quarantine/discard", asdict(choice))
