"""The HTTP door: answers, ids, probes, and what its OpenAPI document promises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from memory_core.errors import NeuralMemoryError, Overloaded, Unavailable
from memory_core.ids import EncoderId, MemoryName
from memory_core.results import EncodedText, InferOptions, InferResult
from tests.unit.deployments.fake_backend import FakeBackend, FakeEncoderPool

HASH = EncoderId("hash")
SECRET = "xylophone-secret"


class BreakableBackend(FakeBackend):
    """Raises ``failure`` from infer."""

    failure: Exception | None = None

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        if self.failure is not None:
            raise self.failure
        return await super().infer(name, prompt, options)


class BreakablePool(FakeEncoderPool):
    """Fails, or never answers, while told to."""

    failure: NeuralMemoryError | None = None
    is_stuck = False

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        if self.is_stuck:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return await super().encode(encoder, texts)


@pytest.fixture
def backend() -> BreakableBackend:
    return BreakableBackend()


@pytest.fixture
def pool() -> BreakablePool:
    return BreakablePool()


@pytest.fixture
async def client(backend: BreakableBackend, pool: BreakablePool) -> AsyncIterator[httpx.AsyncClient]:
    async def owner_pid(name: MemoryName) -> int:
        await backend.stats(name)
        return 4711

    services = Services(
        backend=backend,
        encoders=pool,
        encoder=HASH,
        readiness=Readiness(backend=backend, encoders=pool, encoder=HASH, timeout_s=0.05),
        max_body_bytes=1024 * 1024,
        owner_pid=owner_pid,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=build_api(services)), base_url="http://test"
    ) as opened:
        yield opened


async def post(client: httpx.AsyncClient, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await client.post(path, json=body, headers=headers)


async def test_the_whole_life_of_a_memory(client: httpx.AsyncClient) -> None:
    created = await post(client, "/v1/memories", {"name": "notes", "units": 64})
    assert (created.status_code, created.json()["encoder"]) == (201, "hash")
    one = (await post(client, "/v1/memories/notes/observe", {"text": "one fact", "domain": "d"})).json()
    many = (await post(client, "/v1/memories/notes/observe", {"observations": [{"text": "a"}, {"text": "b"}]})).json()
    assert [len(one["outcomes"]), len(many["outcomes"])] == [1, 2]
    assert (await post(client, "/v1/memories/notes/infer", {"prompt": "fact"})).json()["response"] == "one fact"
    measured = (await post(client, "/v1/memories/notes/surprise", {"texts": ["a", "new"]})).json()
    assert [result["score"] for result in measured["results"]] == [0.0, 1.0]
    assert (await post(client, "/v1/memories/notes/consolidate")).status_code == 200
    asked = {"steps": 2, "ewc_lambda": 0.5}
    told = await client.post("/v1/memories/notes/consolidate", json=asked, headers={"Accept": "text/event-stream"})
    assert told.text.count("event: progress") == 2
    assert "event: result" in told.text
    assert len((await client.get("/v1/memories/notes/explain?top_k=2")).json()["patterns"]) == 2
    assert (await post(client, "/v1/memories/notes/attention", {"query": "fact"})).json()["tokens"][0]["end"] == 4
    assert len((await post(client, "/v1/memories/notes/predict-next", {"text": "a"})).json()["continuations"]) == 3
    assert (await client.get("/v1/memories/notes?detailed=true")).json()["capacity"]["pairs"] == 6
    assert (await post(client, "/v1/memories/notes/checkpoints", {"tag": "v1"})).status_code == 201
    assert len((await client.get("/v1/memories/notes/checkpoints")).json()["checkpoints"]) == 1
    assert (await post(client, "/v1/memories/notes/fork", {"tag": "v1", "name": "copy"})).status_code == 201
    assert (await post(client, "/v1/memories/notes/restore", {"tag": "v1"})).json()["observations_lost"] == 0
    assert (await client.get("/v1/memories/notes/diff?other=copy")).json()["shared_count"] == 3
    assert (await post(client, "/v1/memories/copy/merge", {"other": "notes"})).json()["other_tag"] == "v1"
    assert (await client.get("/v1/memories/notes/owner")).json() == {"memory": "notes", "pid": 4711}
    gone = await client.delete("/v1/memories/notes")
    assert (gone.status_code, gone.content) == (204, b"")
    assert [memory["name"] for memory in (await client.get("/v1/memories")).json()["memories"]] == ["copy"]


async def test_a_repeated_idempotency_key_returns_the_first_answer(client: httpx.AsyncClient) -> None:
    await post(client, "/v1/memories", {"name": "notes"})
    key = {"Idempotency-Key": "key-1"}
    first = (await post(client, "/v1/memories/notes/observe", {"text": "once"}, **key)).json()
    again = (await post(client, "/v1/memories/notes/observe", {"text": "once"}, **key)).json()
    assert again == {**first, "is_replayed_answer": True}


async def test_a_request_id_is_taken_over_or_made_up(client: httpx.AsyncClient) -> None:
    given = await client.get("/health", headers={"X-Request-ID": "mine-1"})
    made_up = await client.get("/health", headers={"X-Request-ID": "not fine \t" * 40})
    assert given.headers["X-Request-ID"] == "mine-1"
    assert len(made_up.headers["X-Request-ID"]) == 32


async def test_an_error_that_can_pass_says_when_to_retry(client: httpx.AsyncClient, backend: BreakableBackend) -> None:
    backend.failure = Overloaded("busy", hint="Send fewer.", retry_after_s=2.5)
    await post(client, "/v1/memories", {"name": "notes"})
    answer = await post(client, "/v1/memories/notes/infer", {"prompt": "a"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.json()["error"]["retry_after_s"] == 2.5


async def test_a_bug_answers_500_in_the_one_shape_and_logs_no_text(
    client: httpx.AsyncClient, backend: BreakableBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    backend.failure = ValueError(f"cannot parse {SECRET}")
    await post(client, "/v1/memories", {"name": "notes"})
    answer = await post(client, "/v1/memories/notes/infer", {"prompt": SECRET})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL")
    assert answer.json()["error"]["request_id"] == answer.headers["X-Request-ID"]
    assert "ValueError" in caplog.text
    assert SECRET not in answer.text + caplog.text


async def test_alive_is_not_ready(client: httpx.AsyncClient, pool: BreakablePool) -> None:
    assert (await client.get("/ready")).status_code == 200
    pool.failure = Unavailable("The model is loading.")
    assert (await client.get("/health")).status_code == 200
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "NOT_READY")
    assert "The model is loading." in answer.json()["error"]["message"]


async def test_a_part_that_never_answers_makes_the_service_not_ready(
    client: httpx.AsyncClient, pool: BreakablePool
) -> None:
    pool.is_stuck = True
    answer = await client.get("/ready")
    assert (answer.status_code, "did not answer" in answer.json()["error"]["message"]) == (503, True)


async def test_a_body_whose_sender_went_away_is_not_served(
    client: httpx.AsyncClient, backend: BreakableBackend
) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    sent: list[Any] = []
    messages = iter(
        [{"type": "http.request", "body": b'{"name": "half"}', "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/memories", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    assert (sent, backend.memories) == ([], {})


async def test_the_openapi_document_has_examples_and_every_error_status(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and operation["description"], path
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer"), path
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            for part in [body, *body.get("anyOf", [])]:
                if "$ref" in part:
                    assert schemas[part["$ref"].rpartition("/")[2]]["examples"], path


async def test_the_door_closes_its_backend_when_the_server_stops(
    backend: BreakableBackend, pool: BreakablePool
) -> None:
    readiness = Readiness(backend=backend, encoders=pool, encoder=HASH)

    async def owner_pid(_: MemoryName) -> int:
        return 1

    services = Services(
        backend=backend, encoders=pool, encoder=HASH, readiness=readiness, max_body_bytes=1024, owner_pid=owner_pid
    )
    app = build_api(services)
    async with app.router.lifespan_context(app):
        assert not backend.is_closed
    assert backend.is_closed
