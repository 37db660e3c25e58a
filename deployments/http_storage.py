"""The storage part of the HTTP client. See ``http_client``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import Any, Final, TypeVar

import httpx

from deployments.error_map import error_from_answer
from memory_core.errors import Unavailable
from memory_core.ids import MemoryName, Tag
from memory_core.storage_results import (
    CollectResult,
    Export,
    ExportFormat,
    ImportResult,
    PruneResult,
    RetentionPolicy,
    VerifyReport,
)

_Answer = TypeVar("_Answer")
# What reads a whole memory or volume takes as long as that takes.
PATIENCE: Final[dict[str, Any]] = {"timeout": httpx.Timeout(3600.0, connect=5.0)}


class RemoteStorage:
    """StorageBackend over a running service."""

    base_url: str
    _client: httpx.AsyncClient

    async def _ask(self, kind: type[_Answer], method: str, path: str, body: object = None, **extra: Any) -> _Answer:
        """Send one request and parse its answer."""
        raise NotImplementedError

    async def _send(self, method: str, path: str, body: object = None, **extra: Any) -> httpx.Response:
        """Send one request."""
        raise NotImplementedError

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """See StorageBackend."""
        params = {"format": form} | ({} if tag is None else {"tag": tag})
        request = self._client.build_request("GET", f"/v1/memories/{name}/export", params=params, **PATIENCE)
        with connection_errors(self.base_url):
            answer = await self._client.send(request, stream=True)
        if not answer.is_success:
            with connection_errors(self.base_url):
                await answer.aread()
            raise error_from_answer(answer.status_code, json_or_none(answer))
        size = answer.headers.get("content-length")
        return Export(size_bytes=None if size is None else int(size), chunks=_pieces(answer, self.base_url))

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """See StorageBackend."""
        return await self._ask(
            ImportResult,
            "POST",
            "/v1/memories/import",
            params={"name": name},
            content=archive,
            headers={"Content-Type": "application/octet-stream"},
            **PATIENCE,
        )

    async def verify(self, name: MemoryName | None = None) -> VerifyReport:
        """See StorageBackend."""
        path = "/v1/volume/verify" if name is None else f"/v1/memories/{name}/verify"
        return await self._ask(VerifyReport, "POST", path, **PATIENCE)

    async def delete_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        """See StorageBackend."""
        await self._send("DELETE", f"/v1/memories/{name}/checkpoints/{tag}")

    async def retention(self, name: MemoryName) -> RetentionPolicy:
        """See StorageBackend."""
        return await self._ask(RetentionPolicy, "GET", f"/v1/memories/{name}/retention")

    async def set_retention(self, name: MemoryName, policy: RetentionPolicy) -> RetentionPolicy:
        """See StorageBackend."""
        return await self._ask(RetentionPolicy, "PUT", f"/v1/memories/{name}/retention", asdict(policy))

    async def prune(
        self, name: MemoryName, *, policy: RetentionPolicy | None = None, is_dry_run: bool = False
    ) -> PruneResult:
        """See StorageBackend."""
        body = {"dry_run": is_dry_run} | ({} if policy is None else {"policy": asdict(policy)})
        return await self._ask(PruneResult, "POST", f"/v1/memories/{name}/prune", body, **PATIENCE)

    async def collect_garbage(self, *, grace_s: float = 3600.0, is_dry_run: bool = False) -> CollectResult:
        """See StorageBackend."""
        body = {"grace_s": grace_s, "dry_run": is_dry_run}
        return await self._ask(CollectResult, "POST", "/v1/volume/gc", body, **PATIENCE)


async def _pieces(answer: httpx.Response, base_url: str) -> AsyncIterator[bytes]:
    try:
        with connection_errors(base_url):
            async for piece in answer.aiter_bytes():
                yield piece
    finally:
        await answer.aclose()


@contextlib.contextmanager
def connection_errors(base_url: str) -> Iterator[None]:
    """Turn what the HTTP library raises for a network into Unavailable."""
    try:
        yield
    except httpx.ConnectError:
        raise Unavailable(
            f"Nothing answers at {base_url}.", hint="Start the service with: neural-memory serve"
        ) from None
    except httpx.TimeoutException:
        raise Unavailable(f"{base_url} did not answer in time.", hint="Try again, or raise --timeout.") from None
    except httpx.TransportError as error:
        raise Unavailable(f"The connection to {base_url} broke ({type(error).__name__}).", hint="Try again.") from None


def json_or_none(answer: httpx.Response) -> object:
    """The JSON of an answer that was read; None when it is none."""
    try:
        return answer.json()
    except ValueError:
        return None
