"""The storage part of the HTTP client. See ``http_client``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import httpx

from deployments.error_map import error_from_answer
from memory_core.errors import Unavailable
from memory_core.ids import MemoryName, Tag
from memory_core.storage_results import Export, ExportFormat, ImportResult

_Answer = TypeVar("_Answer")


class RemoteStorage:
    """StorageBackend over a running service."""

    base_url: str
    _client: httpx.AsyncClient

    async def _ask(self, kind: type[_Answer], method: str, path: str, body: object = None, **extra: Any) -> _Answer:
        """Send one request and parse its answer."""
        raise NotImplementedError

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """See StorageBackend."""
        params = {"format": form} | ({} if tag is None else {"tag": tag})
        request = self._client.build_request("GET", f"/v1/memories/{name}/export", params=params)
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
        )


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
