"""What a host tells of its calls: figures, log lines, spans."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cluster import host_meter, ray_api
from cluster.call_context import CallContext
from cluster.host_meter import Measure
from cluster.json_log import JsonLines
from cluster.memory_host import HostLimits, HostLinks, MemoryHost
from cluster.ray_backend import RayBackend
from cluster.resident import Tenant
from cluster.volume_actor import VolumeActor
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import NeuralMemoryError
from memory_core.ids import EncoderId, MemoryName
from memory_core.results import ObserveOptions
from memory_core.testing.small_memory import encode_observations, small_config
from tests.unit.cluster.test_backend_without_ray import InProcess

NAME = MemoryName("notes")
SECRET = "the freighter Meridian"


class Figures:
    """A Meter that remembers."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, ...], list[float]] = defaultdict(list)

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        assert set(labels) == set(measure.labels)
        self.of[(measure.name.removeprefix("neural_memory_"), *labels.values())].append(value)


@pytest.fixture
async def told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> tuple[Figures, MemoryHost, Tenant]:
    caplog.set_level(logging.DEBUG)
    url = (tmp_path / "volume").as_uri()
    volume = VolumeActor(url)
    await volume.create(NAME, small_config())
    figures = Figures()
    host = MemoryHost(url, HostLimits(), HostLinks(open_meter=lambda: figures))
    return figures, host, Tenant((await volume.find(NAME)).uid, NAME)


async def test_a_host_counts_what_it_learns_opens_and_passivates(
    told: tuple[Figures, MemoryHost, Tenant],
) -> None:
    figures, host, tenant = told
    await host.write(tenant, "observe", encode_observations("one", "two"), ObserveOptions())
    await host.read(tenant, "stats")
    found = figures.of
    assert (found["observations",], found["epoch_changes",], found["residents",][-1]) == ([2.0], [1.0], 1)
    assert len(found["surprise",]) == 2
    stages = {name[1] for name in found if name[0] == "stage_seconds"}
    assert stages >= {"open", "read", "write", "AppendFrame", "VerifyEpoch", "ApplyGroup", "RecoverMemory"}
    assert len(found["replay_seconds",]) == 1
    with pytest.raises(NeuralMemoryError):
        await host.write(tenant, "observe", encode_observations("x"), ObserveOptions(learning_rate=-1.0))
    assert found["failures", "INVALID_INPUT"] == [1.0]
    await host.drain()


async def test_a_log_line_says_memory_epoch_position_and_request_and_no_content(
    told: tuple[Figures, MemoryHost, Tenant], caplog: pytest.LogCaptureFixture
) -> None:
    _, host, tenant = told
    context = CallContext(request_id="r-1")
    await host.write(tenant, "observe", encode_observations(SECRET), ObserveOptions(), context=context)
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name.startswith("cluster")]
    (line,) = [line for line in lines if line["event"] == "observe"]
    assert {key: line[key] for key in ("memory", "epoch", "seq", "request_id", "level")} == {
        "memory": "notes",
        "epoch": 1,
        "seq": 1,
        "request_id": "r-1",
        "level": "INFO",
    }
    assert line["ms"] > 0
    assert SECRET not in caplog.text


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_a_trace_leads_from_the_door_into_the_process_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spans: InMemorySpanExporter
) -> None:
    owners = InProcess()
    for function in ("owner_of", "find_owner", "end_owner", "call"):
        monkeypatch.setattr(ray_api, function, getattr(owners, function))
    monkeypatch.setattr(ray_api, "RayMeter", host_meter.NoMeter)
    encoders, encoder = LocalEncoderPool(), EncoderId("hash")
    backend = RayBackend((tmp_path / "volume").as_uri(), encoders)
    await backend.create(NAME, small_config())
    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=encoder,
        readiness=Readiness(backend=backend, encoders=encoders, encoder=encoder),
        max_body_bytes=1 << 20,
        owner_pid=backend.owner_pid,
    )
    sent = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "X-Request-ID": "r-2"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=build_api(services)), base_url="http://test"
    ) as door:
        answer = await door.post("/v1/memories/notes/observe", json={"text": SECRET}, headers=sent)
    assert answer.status_code == 200
    found = {span.name: span for span in spans.get_finished_spans()}
    at_door, in_host = found["POST /v1/memories/{name}/observe"], found["memory.observe"]
    assert {format(one.context.trace_id, "032x") for one in (at_door, in_host)} == {"a" * 32}
    assert in_host.parent is not None and in_host.parent.span_id == at_door.context.span_id
    assert dict(in_host.attributes or {}).items() >= {"memory": "notes", "seq": 1, "request_id": "r-2"}.items()
    assert SECRET not in "".join(span.to_json() for span in spans.get_finished_spans())
    encoders.close()
