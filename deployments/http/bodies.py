"""The ASGI layer that reads request bodies: a cap on their size, also after unpacking gzip."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memory_core.errors import InvalidInput, NeuralMemoryError, TooLarge

STREAM_PATH_END: Final = "/observe/stream"
_GZIP: Final = 16 + zlib.MAX_WBITS


class Bodies:
    """Wraps an ASGI app. Hands it each body whole, at most ``max_body_bytes``.

    A stream of observations is handed on as it comes: its route caps each line instead. A file that is sent to a
    path of ``uploads`` streams too, up to the bytes given there.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, uploads: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._uploads = uploads or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; raises TooLarge, or InvalidInput for an encoding that is not known."""
        if scope["type"] != "http" or scope["path"].endswith(STREAM_PATH_END):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "POST" and scope["path"] in self._uploads:
            max_upload_bytes = self._uploads[scope["path"]]
            _require_announced_below(headers, max_upload_bytes)
            await self._app(scope, _bounded(receive, max_upload_bytes), send)
            return
        body = await _read_body(headers, receive, self._max_body_bytes)
        if body is None:
            return
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            body = _unpacked(encoding, body, self._max_body_bytes)
            changed = MutableHeaders(scope=scope)
            del changed["content-encoding"]
            changed["content-length"] = str(len(body))
        await self._app(scope, _replay(body, receive), send)


async def _read_body(headers: Headers, receive: Receive, max_body_bytes: int) -> bytes | None:
    """The whole body, or None when the client went away before it was complete."""
    _require_announced_below(headers, max_body_bytes)
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size_bytes += len(parts[-1])
        if size_bytes > max_body_bytes:
            raise too_large(max_body_bytes)
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _require_announced_below(headers: Headers, max_body_bytes: int) -> None:
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > max_body_bytes:
        raise too_large(max_body_bytes)


def _bounded(receive: Receive, max_body_bytes: int) -> Receive:
    size_bytes = 0

    async def bounded() -> Message:
        nonlocal size_bytes
        message = await receive()
        size_bytes += len(message.get("body", b""))
        if size_bytes > max_body_bytes:
            raise too_large(max_body_bytes)
        return message

    return bounded


def _unpacked(encoding: str, body: bytes, max_body_bytes: int) -> bytes:
    """Stops at the cap, so that a small bomb costs no more than a large body."""
    if encoding != "gzip":
        raise InvalidInput(
            f"The content-encoding {ascii(encoding[:32])} is not known.",
            code="ENCODING_NOT_SUPPORTED",
            hint="Send gzip, or nothing packed.",
        )
    reader = zlib.decompressobj(_GZIP)
    try:
        unpacked = reader.decompress(body, max_body_bytes + 1)
    except zlib.error:
        raise _not_gzip() from None
    if len(unpacked) > max_body_bytes:
        raise too_large(max_body_bytes)
    if not reader.eof:
        raise _not_gzip()
    return unpacked


def too_large(max_body_bytes: int) -> TooLarge:
    """The answer to a body over the cap."""
    return TooLarge(
        f"The request body is over {max_body_bytes} bytes.",
        hint="Cut long texts into paragraphs, or send fewer at once.",
    )


def _not_gzip() -> NeuralMemoryError:
    return InvalidInput("The body is not whole gzip data.", hint="Leave content-encoding out, or pack it again.")


def _replay(body: bytes, receive: Receive) -> Receive:
    is_replayed = False

    async def replayed() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
