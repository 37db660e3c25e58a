"""A client that costs little itself: what a load generator takes of two cores is missing to the service it loads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

_FAILED_FROM: Final = 400
_LENGTH: Final = b"content-length:"
_END: Final = b"\r\n"


class LeanClient:
    """One connection over which JSON is posted, a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, base_url: str) -> None:
        """Not for callers: use ``lean_client``."""
        self._reader = reader
        self._writer = writer
        self._base_url = base_url
        self._host = urlsplit(base_url).netloc

    async def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The body of the answer; raises httpx.HTTPStatusError for one that refuses."""
        sent = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\naccept: application/json\r\n"
            f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
        )
        self._writer.write(head.encode() + sent)
        answer_head = await self._reader.readuntil(_END + _END)
        length = _length(answer_head)
        answer = await self._chunks() if length is None else await self._reader.readexactly(length)
        status = int(answer_head[9:12])
        if status >= _FAILED_FROM:
            request = httpx.Request("POST", self._base_url + path)
            httpx.Response(status, content=answer, request=request).raise_for_status()
        return answer

    async def _chunks(self) -> bytes:
        """The body of an answer that does not say its length before."""
        chunks: list[bytes] = []
        while size := int(await self._reader.readuntil(_END), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readexactly(len(_END))
        await self._reader.readexactly(len(_END))
        return b"".join(chunks)


@asynccontextmanager
async def lean_client(base_url: str) -> AsyncIterator[LeanClient]:
    """A client of the server at ``base_url`` (http), connected until the block ends."""
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield LeanClient(reader, writer, base_url)
    finally:
        writer.close()
        await writer.wait_closed()


def _length(head: bytes) -> int | None:
    lengths = [line for line in head.lower().split(_END) if line.startswith(_LENGTH)]
    return int(lengths[0].removeprefix(_LENGTH)) if lengths else None
