"""What travels with a call from the ingress into the process that holds a memory: whose request, and which trace.

Spans cost nothing until a tracer provider is installed. They carry names, positions and codes, never content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, ProxyTracerProvider, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from memory_core.errors import NeuralMemoryError

_TRACE_CONTEXT = TraceContextTextMapPropagator()
TRACE_HEADERS = tuple(sorted(_TRACE_CONTEXT.fields))
"""Names of the W3C trace context headers."""
_REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


@dataclass(frozen=True, slots=True)
class CallContext:
    """request_id: of the request at the door. trace: W3C trace context headers, empty when nothing is traced."""

    request_id: str = ""
    trace: tuple[tuple[str, str], ...] = ()


def set_request_id(request_id: str) -> None:
    """Name the request that this task and the tasks it starts work for."""
    _REQUEST_ID.set(request_id)


def current_context() -> CallContext:
    """Of the running task."""
    headers: dict[str, str] = {}
    _TRACE_CONTEXT.inject(headers)
    return CallContext(_REQUEST_ID.get(), tuple(sorted(headers.items())))


@contextmanager
def span(
    name: str, parent: Mapping[str, str] | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int
) -> Iterator[Span]:
    """A span around the block. ``parent``: trace context headers of a caller elsewhere; else the running span."""
    if not is_traced(parent):
        yield INVALID_SPAN
        return
    context = None if parent is None else _TRACE_CONTEXT.extract(parent)
    tracer = trace.get_tracer("neural-memory")
    with tracer.start_as_current_span(
        name, context, kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as running:
        try:
            yield running
        except BaseException as error:
            # A foreign exception's text can quote an observation, so only codes and classes are kept.
            code = error.code if isinstance(error, NeuralMemoryError) else type(error).__name__
            running.set_status(StatusCode.ERROR, code)
            raise


def is_traced(parent: Mapping[str, str] | None) -> bool:
    """True when spans go somewhere, or a caller's trace passes through here to somebody who keeps it."""
    if not isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        return True
    return trace.get_current_span() is not INVALID_SPAN or any(name in (parent or ()) for name in TRACE_HEADERS)
