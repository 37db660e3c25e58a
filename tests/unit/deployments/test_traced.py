"""The layer of spans: a caller's trace goes on to whoever serves the request, and nobody's costs nothing."""

from __future__ import annotations

from typing import Any

from starlette.types import Message, Receive, Scope, Send

from cluster.call_context import current_context
from deployments.http.traced import Traced

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


async def traced_request(*headers: tuple[bytes, bytes]) -> tuple[dict[str, str], bool]:
    """The trace that the application inside sees, and whether it was given another ``send`` than ours."""
    seen: list[tuple[dict[str, str], bool]] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    async def app(_scope: Scope, _receive: Receive, given: Send) -> None:
        seen.append((dict(current_context().trace), given is not send))

    scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [(b"host", b"x"), *headers]}
    await Traced(app)(scope, receive, send)
    return seen[0]


async def test_a_callers_trace_goes_on() -> None:
    trace, is_watched = await traced_request((b"traceparent", PARENT.encode()), (b"tracestate", b"vendor=1"))
    assert trace["traceparent"].split("-")[1] == TRACE_ID
    assert (trace["tracestate"], is_watched) == ("vendor=1", True)


async def test_a_request_that_nobody_traces_passes_through() -> None:
    assert await traced_request((b"accept", b"*/*")) == ({}, False)
