"""The ASGI layer that reads request bodies: a cap on their size, also after unpacking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.http.packing import too_large, unpacked
from memory_core.errors import InvalidInput

STREAM_PATH_END: Final = "/observe/stream"


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
            _require_plain(headers)
            _require_announced_below(headers, max_upload_bytes)
            await self._app(scope, _bounded(receive, max_upload_bytes), send)
            return
        body = await _read_body(headers, receive, self._max_body_bytes)
        if body is None:
            return
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            body = unpacked(encoding, body, self._max_body_bytes)
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


def _require_plain(headers: Headers) -> None:
    if headers.get("content-encoding", "identity") != "identity":
        raise InvalidInput("An archive cannot be packed.", code="ENCODING_NOT_SUPPORTED", hint="Send it as it is.")


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


def _replay(body: bytes, receive: Receive) -> Receive:
    is_replayed = False

    async def replayed() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
