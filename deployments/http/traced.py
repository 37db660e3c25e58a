"""The ASGI layer that opens a span for each request, below the caller's when it sends W3C trace context."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.call_context import TRACE_HEADERS, is_traced, span

_FAILED: Final = 500


class Traced:
    """Wraps an ASGI app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP, and what nobody traces, passes through."""
        parent = _sent_context(Headers(scope=scope)) if scope["type"] == "http" else None
        if parent is None or not is_traced(parent):
            await self._app(scope, receive, send)
            return
        method, request_id = scope["method"], str(scope.get("state", {}).get("request_id", ""))
        with span(method, parent, SpanKind.SERVER, request_id=request_id, **{"http.request.method": method}) as running:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    running.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= _FAILED:
                        running.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, watched)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                running.update_name(f"{method} {route}")


def _sent_context(headers: Headers) -> dict[str, str]:
    """The caller's trace context; empty when there is none."""
    return {name: value for name in TRACE_HEADERS if (value := headers.get(name)) is not None}
