"""The outermost ASGI layer: request ids, deadlines, and an answer in our shape for what nothing else caught."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import traceback
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.call_context import set_request_id
from deployments.error_map import error_body, error_headers, http_status
from memory_core.errors import DeadlineExceeded, Internal, InvalidInput, NeuralMemoryError

REQUEST_ID_HEADER: Final = "X-Request-ID"
TIMEOUT_HEADER: Final = "X-Request-Timeout"
LONG_WORK: Final = frozenset({"import", "export", "verify", "gc", "prune", "re-encode"})
"""Last parts of the paths whose work takes as long as a memory or a volume is large."""
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_log = logging.getLogger(__name__)


class Envelope:
    """Wraps an ASGI app. A deadline bounds each request; the caller may ask for less in ``X-Request-Timeout``.

    ``long_deadline_s`` is that of routes that move or read a whole memory or volume (``LONG_WORK``).
    """

    def __init__(self, app: ASGIApp, deadline_s: float, long_deadline_s: float) -> None:
        self._app = app
        self._deadline_s = deadline_s
        self._long_deadline_s = long_deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        set_request_id(request_id)
        answer = _Answer(send, request_id)
        try:
            # Once an answer has begun, only its client decides how long it may last.
            async with asyncio.timeout(self._timeout_s(scope["path"], headers)) as answer.deadline:
                await self._app(scope, receive, answer.send)
        except NeuralMemoryError as error:
            await answer.fail(error)
        except TimeoutError:
            await answer.fail(_too_late())
        except Exception as error:
            _log_bug(error, request_id)
            await answer.fail(Internal("The service failed on this request.", hint="Report it with the request id."))

    def _timeout_s(self, path: str, headers: Headers) -> float:
        deadline_s = self._long_deadline_s if path.rpartition("/")[2] in LONG_WORK else self._deadline_s
        asked = headers.get(TIMEOUT_HEADER)
        if asked is None:
            return deadline_s
        if not _SECONDS.fullmatch(asked) or not float(asked):
            raise InvalidInput(f"{TIMEOUT_HEADER} is not a number of seconds.", hint="For example 2.5.")
        return min(float(asked), deadline_s)


class _Answer:
    """Remembers whether the answer began, so that an error is sent at most once."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._has_started = False
        self.deadline: asyncio.Timeout | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_started = True
            if self.deadline is not None:
                self.deadline.reschedule(None)
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)

    async def fail(self, error: NeuralMemoryError) -> None:
        if self._has_started:
            return
        self.deadline = None
        body = json.dumps(error_body(error, self._request_id)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in error_headers(error).items()]
        await self.send({"type": "http.response.start", "status": http_status(error), "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _request_id(headers: Headers) -> str:
    sent = headers.get(REQUEST_ID_HEADER, "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded(
        "The request was not answered within its time. It may still be carried out.",
        hint="Repeat it with the same Idempotency-Key, and allow more time.",
        retry_after_s=1.0,
    )


def _log_bug(error: Exception, request_id: str) -> None:
    # Only the frames: the message of a foreign exception can hold the text of an observation.
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("request %s failed with %s\n%s", request_id, type(error).__name__, frames)
