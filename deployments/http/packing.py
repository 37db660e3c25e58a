"""Packed bodies: gzip and zstd, unpacked up to a cap, packed when an answer is worth it and its reader takes it."""

from __future__ import annotations

import zlib
from typing import Final, Protocol

from backports import zstd
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memory_core.errors import InvalidInput, NeuralMemoryError, TooLarge

_PACKED_FROM_BYTES: Final = 2048
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_LEVEL: Final = 5
_ZSTD_LEVEL: Final = 3
# 8 MiB, as RFC 9659 says for HTTP: a small body must not ask for a large window.
_ZSTD_WINDOW_LOG: Final = 23
# Their readers want each piece when it comes.
_UNPACKED_KINDS: Final = ("text/event-stream", "application/x-ndjson", "image/")


class _Reader(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def unpacked(encoding: str, body: bytes, max_body_bytes: int) -> bytes:
    """The body without its packing. Stops at the cap, so that a small bomb costs no more than a large body."""
    reader = _reader(encoding)
    try:
        plain = reader.decompress(body, max_body_bytes + 1)
    except (zlib.error, zstd.ZstdError):
        raise _not_whole(encoding) from None
    if len(plain) > max_body_bytes:
        raise too_large(max_body_bytes)
    if not reader.eof or reader.unused_data:
        raise _not_whole(encoding)
    return plain


def too_large(max_body_bytes: int) -> TooLarge:
    """The answer to a body over the cap."""
    return TooLarge(
        f"The request body is over {max_body_bytes} bytes.",
        hint="Cut long texts into paragraphs, or send fewer at once.",
    )


class Packed:
    """Wraps an ASGI app. Packs answers that come in one piece of some size, with what the request accepts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes through."""
        encoding = accepted(Headers(scope=scope).get("accept-encoding", "")) if scope["type"] == "http" else None
        if encoding is None:
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def packing(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                held = message
                return
            if held is not None:
                start, held = held, None
                message = _packed(start, message, encoding)
                await send(start)
            await send(message)

        await self._app(scope, receive, packing)


def accepted(header: str) -> str | None:
    """The best packing that an Accept-Encoding header allows."""
    quality: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        try:
            quality[name.strip()] = float(weight.partition("=")[2] or 1.0)
        except ValueError:
            quality[name.strip()] = 0.0
    allowed = [name for name in ("zstd", "gzip") if quality.get(name, quality.get("*", 0.0)) > 0.0]
    return max(allowed, key=lambda name: quality.get(name, 0.0), default=None)


def _packed(start: Message, message: Message, encoding: str) -> Message:
    """The only message of an answer, packed, with what its start says of it; any other one as it is."""
    headers = MutableHeaders(scope=start)
    headers.add_vary_header("Accept-Encoding")
    body: bytes = message.get("body", b"")
    is_streamed = message.get("more_body", False) or headers.get("content-type", "").startswith(_UNPACKED_KINDS)
    if is_streamed or len(body) < _PACKED_FROM_BYTES or "content-encoding" in headers:
        return message
    packed = zstd.compress(body, _ZSTD_LEVEL) if encoding == "zstd" else _gzipped(body)
    headers["Content-Encoding"] = encoding
    headers["Content-Length"] = str(len(packed))
    return {**message, "body": packed}


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    return packer.compress(body) + packer.flush()


def _reader(encoding: str) -> _Reader:
    if encoding == "gzip":
        return zlib.decompressobj(_GZIP)
    if encoding == "zstd":
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
    raise InvalidInput(
        f"The content-encoding {ascii(encoding[:32])} is not known.",
        code="ENCODING_NOT_SUPPORTED",
        hint="Send zstd, gzip, or nothing packed.",
    )


def _not_whole(encoding: str) -> NeuralMemoryError:
    return InvalidInput(
        f"The body is not one whole piece of {encoding} data.", hint="Leave content-encoding out, or pack it again."
    )
