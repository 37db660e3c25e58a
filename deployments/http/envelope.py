"""The outermost ASGI layer: request ids, the body cap, and an answer in our shape for what nothing else caught."""

from __future__ import annotations

import json
import logging
import re
import traceback
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.error_map import error_body, http_status
from memory_core.errors import Internal, NeuralMemoryError, TooLarge

REQUEST_ID_HEADER: Final = "X-Request-ID"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_log = logging.getLogger(__name__)


class Envelope:
    """Wraps an ASGI app. Reads each body up to ``max_body_bytes`` before the app sees the request."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        try:
            body = await _read_body(Headers(scope=scope), receive, self._max_body_bytes)
            if body is None:
                return
            await self._app(scope, _replay(body, receive), answer.send)
        except NeuralMemoryError as error:
            await answer.fail(error)
        except Exception as error:
            _log_bug(error, request_id)
            await answer.fail(Internal("The service failed on this request.", hint="Report it with the request id."))


class _Answer:
    """Remembers whether the answer began, so that an error is sent at most once."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._has_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_started = True
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)

    async def fail(self, error: NeuralMemoryError) -> None:
        if self._has_started:
            return
        body = json.dumps(error_body(error, self._request_id)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": http_status(error), "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _request_id(headers: Headers) -> str:
    sent = headers.get(REQUEST_ID_HEADER, "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


async def _read_body(headers: Headers, receive: Receive, max_body_bytes: int) -> bytes | None:
    """The whole body, or None when the client went away before it was complete."""
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > max_body_bytes:
        raise _too_large(max_body_bytes)
    parts: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size_bytes += len(parts[-1])
        if size_bytes > max_body_bytes:
            raise _too_large(max_body_bytes)
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _too_large(max_body_bytes: int) -> TooLarge:
    return TooLarge(
        f"The request body is over {max_body_bytes} bytes.",
        hint="Cut long texts into paragraphs, or send fewer at once.",
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    is_replayed = False

    async def replayed() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _log_bug(error: Exception, request_id: str) -> None:
    # Only the frames: the message of a foreign exception can hold the text of an observation.
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("request %s failed with %s\n%s", request_id, type(error).__name__, frames)
