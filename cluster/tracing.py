"""Where spans go. Standard variables of OpenTelemetry (OTEL_EXPORTER_OTLP_ENDPOINT and so on) say the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace

from memory_core.errors import InvalidInput

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORTERS: Final = ("none", "console", "otlp")


def install_tracer(exporter: str, service: str) -> None:
    """Export the spans of this process; ``console`` writes them to its log, ``otlp`` needs the exporter's package."""
    if exporter == "none":
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    to: SpanExporter = ConsoleSpanExporter() if exporter == "console" else _otlp()
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(to))
    trace.set_tracer_provider(provider)


def _otlp() -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise InvalidInput(
            "Traces cannot be sent over OTLP: its exporter is not installed.",
            hint="pip install opentelemetry-exporter-otlp-proto-http",
        ) from None
    exporter: SpanExporter = OTLPSpanExporter()
    return exporter
