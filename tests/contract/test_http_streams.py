"""Streams, versions, deadlines and figures over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.results import InferOptions, InferResult
from memory_core.storage.ram_store import RamStore
from memory_core.storage_results import VerifyReport

HASH = EncoderId("hash")
SMALL = {"units": 256, "rows": 256, "heads": 4, "active_rows": 16}
STREAM = "/v1/memories/known/observe/stream"
SECRET = "xylophone-secret"


class SlowBackend(LocalBackend):
    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        if prompt == "slow":
            await asyncio.sleep(60)
        return await super().infer(name, prompt, options)

    async def verify(self, name: MemoryName | None = None) -> VerifyReport:
        await asyncio.sleep(0.5)
        return await super().verify(name)


async def own_pid(_: MemoryName) -> int:
    return 1


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    encoders = LocalEncoderPool()
    backend = SlowBackend(RamStore(request.node.nodeid), encoders)
    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=HASH,
        readiness=Readiness(backend=backend, encoders=encoders, encoder=HASH),
        max_body_bytes=4096,
        owner_pid=own_pid,
    )
    transport = httpx.ASGITransport(app=build_api(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        assert (await opened.post("/v1/memories", json={"name": "known", **SMALL})).status_code == 201
        yield opened
    await backend.close()
    encoders.close()


def lines(*texts: str) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


async def told(answer: httpx.Response) -> list[dict[str, object]]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_stream_larger_than_any_body_is_learned_line_by_line(client: httpx.AsyncClient) -> None:
    body = lines(*(f"Fact {number} is {number * 7}." for number in range(150)))
    assert len(body) > 4096

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    first = await told(await client.post(STREAM, content=chunks(), headers={"Idempotency-Key": "k"}))
    assert [row["observations"] for row in first] == [64, 64, 22]
    again = await told(await client.post(STREAM, content=body, headers={"Idempotency-Key": "k"}))
    assert all(row["is_replayed_answer"] for row in again)
    assert (await client.get("/v1/memories/known")).json()["observation_count"] == 150


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"[" * 9000, "TOO_LARGE"),
        (b"[" * 3000, "INVALID_INPUT"),
        (b"{}", "INVALID_INPUT"),
        (b'{"text": " "}', "INVALID_INPUT"),
        (b"\xff", "INVALID_INPUT"),
    ],
)
async def test_a_bad_line_ends_the_stream_and_keeps_what_was_told(
    client: httpx.AsyncClient, bad: bytes, code: str
) -> None:
    body = lines(*(f"{SECRET} {number}" for number in range(64))) + bad + b"\n"
    learned, failed = await told(await client.post(STREAM, content=body))
    assert learned["observations"] == failed["observations_learned"] == 64
    assert failed["error"]["code"] == code  # type: ignore[index]
    assert SECRET not in json.dumps(failed)


async def test_what_is_wrong_with_the_request_is_said_by_the_status(client: httpx.AsyncClient) -> None:
    unknown = await client.post("/v1/memories/nobody/observe/stream", content=lines("a"))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "MEMORY_NOT_FOUND")
    key = await client.post(STREAM, content=lines("a"), headers={"Idempotency-Key": "k" * 250})
    assert key.status_code == 422


async def test_an_answer_comes_as_events(client: httpx.AsyncClient) -> None:
    await client.post("/v1/memories/known/observe", json={"text": "Glass is made of sand and much heat."})
    whole = (await client.post("/v1/memories/known/infer", json={"prompt": "Glass is made of"})).json()
    answer = await client.post("/v1/memories/known/infer/stream", json={"prompt": "Glass is made of"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
    pieces = [json.loads(data[6:])["text"] for kind, data in events if kind == "event: response"]
    assert "".join(pieces) == whole["response"]
    assert (events[-1][0], json.loads(events[-1][1][6:])) == ("event: done", whole)


async def test_a_destructive_call_for_another_version_is_refused(client: httpx.AsyncClient) -> None:
    path = "/v1/memories/known"
    seen = (await client.get(path)).headers["ETag"]
    await client.post(f"{path}/observe", json={"text": "Something new."})
    now = (await client.get(path)).headers["ETag"]
    assert seen != now
    await client.post(f"{path}/checkpoints", json={"tag": "v1"})
    for method, way, body in (
        ("DELETE", path, None),
        ("POST", f"{path}/restore", {"tag": "v1"}),
        ("POST", f"{path}/forget", {"subject": "new"}),
    ):
        refused = await client.request(method, way, json=body, headers={"If-Match": seen})
        assert (refused.status_code, refused.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    assert (await client.delete(path, headers={"If-Match": f'"other", {now}'})).status_code == 204


async def test_a_dry_run_tells_and_keeps(client: httpx.AsyncClient) -> None:
    plan = await client.delete("/v1/memories/known", params={"dry_run": True})
    assert (plan.status_code, plan.json()["memory"]) == (200, "known")
    assert (await client.get("/v1/memories/known")).status_code == 200


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ({"device": "cuda:0"}, "INVALID_INPUT"),
        ({"ttl_s": -1}, "INVALID_INPUT"),
        ({"class": "huge"}, "INVALID_INPUT"),
        ({"kind": "session"}, "INVALID_INPUT"),
    ],
)
async def test_what_no_memory_can_be_is_refused(
    client: httpx.AsyncClient, chosen: dict[str, object], code: str
) -> None:
    answer = await client.post("/v1/memories", json={"name": "new", **chosen})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


async def test_a_class_chooses_the_size_and_a_setting_beats_it(client: httpx.AsyncClient) -> None:
    small = await client.post("/v1/memories", json={"name": "small", "class": "session", "device": "cpu"})
    other = await client.post("/v1/memories", json={"name": "other", "class": "session", "units": 64})
    assert (small.json()["units"], other.json()["units"]) == (4096, 64)


async def test_time_that_is_over_is_said_with_504(client: httpx.AsyncClient) -> None:
    late = await client.post("/v1/memories/known/infer", json={"prompt": "slow"}, headers={"X-Request-Timeout": "0.05"})
    assert (late.status_code, late.json()["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    assert late.headers["Retry-After"] == "1"
    for wrong in ("0", "soon", "-1", "1e9"):
        answer = await client.get("/v1/memories", headers={"X-Request-Timeout": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_INPUT")


async def test_figures_name_routes_and_no_memory(client: httpx.AsyncClient) -> None:
    await client.get("/v1/memories/known")
    await client.get("/v1/memories/secret-name")
    await client.get("/nowhere/secret-name")
    text = (await client.get("/metrics")).text
    assert 'neural_memory_requests_total{method="GET",route="/v1/memories/{name}",status="200"} 1.0' in text
    assert 'neural_memory_requests_total{method="GET",route="/v1/memories/{name}",status="404"} 1.0' in text
    assert 'route="other",status="404"' in text
    assert 'neural_memory_request_seconds_bucket{le="0.001"' in text
    assert "secret-name" not in text and "known" not in text


async def test_long_answers_are_packed_for_those_who_ask(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).headers["content-encoding"] == "gzip"
    assert (
        "content-encoding" not in (await client.get("/openapi.json", headers={"accept-encoding": "identity"})).headers
    )


async def test_a_memory_too_large_for_a_machine_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/memories", json={"name": "huge", "rows": 1 << 22, "heads": 16, "units": 1 << 20})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_LARGE")


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://127.0.0.1.evil.example.com"])
async def test_a_page_from_elsewhere_cannot_teach_a_local_service(client: httpx.AsyncClient, origin: str) -> None:
    # A browser sends text/plain without asking first.
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = await client.post(STREAM, content=lines("Poison."), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    own = await client.get("/v1/memories/known", headers={"origin": "http://localhost:8000"})
    assert (own.status_code, own.json()["observation_count"]) == (200, 0)


@pytest.fixture
async def hurried() -> AsyncIterator[httpx.AsyncClient]:
    """A service that gives most requests a tenth of a second."""
    encoders = LocalEncoderPool()
    backend = SlowBackend(RamStore("hurried"), encoders)
    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=HASH,
        readiness=Readiness(backend=backend, encoders=encoders, encoder=HASH),
        max_body_bytes=4096,
        owner_pid=own_pid,
        deadline_s=0.1,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=build_api(services)), base_url="http://t") as opened:
        yield opened
    await backend.close()
    encoders.close()


async def test_what_reads_a_whole_volume_has_a_longer_deadline_unless_less_is_asked(hurried: httpx.AsyncClient) -> None:
    assert (await hurried.post("/v1/volume/verify")).json()["is_intact"] is True
    asked = await hurried.post("/v1/volume/verify", headers={"X-Request-Timeout": "0.05"})
    assert (asked.status_code, asked.json()["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    usual = await hurried.post("/v1/memories/known/infer", json={"prompt": "slow"})
    assert usual.status_code == 504


async def test_a_memory_is_created_as_durable_as_asked(client: httpx.AsyncClient) -> None:
    for asked, found in (("sync", "sync"), ("group(20)", "group(20)"), (None, "group")):
        body = {"name": f"m-{found[-3:-1]}", **SMALL, **({} if asked is None else {"durability": asked})}
        assert (await client.post("/v1/memories", json=body)).status_code == 201
        assert (await client.get(f"/v1/memories/{body['name']}")).json()["durability"] == found
    refused = await client.post("/v1/memories", json={"name": "bad", **SMALL, "durability": "maybe"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID_INPUT")
