"""Whatever is sent, the answer is a 4xx in the one error shape, and the memory is as it was."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.ram_store import RamStore

JSON = {"content-type": "application/json"}
HASH = EncoderId("hash")
SECRET = "xylophone-secret"
SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}


async def own_pid(_: MemoryName) -> int:
    return os.getpid()


# One memory for all cases: each of them shows that it changed nothing.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    encoders = LocalEncoderPool()
    backend = LocalBackend(RamStore(request.node.nodeid), encoders)
    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=HASH,
        readiness=Readiness(backend=backend, encoders=encoders, encoder=HASH),
        max_body_bytes=1024 * 1024,
        owner_pid=own_pid,
    )
    transport = httpx.ASGITransport(app=build_api(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        created = await opened.post("/v1/memories", json={"name": "known", **SMALL})
        assert created.status_code == 201
        learned = await opened.post("/v1/memories/known/observe", json={"text": "Water boils at 100 degrees."})
        assert learned.status_code == 200
        yield opened
    await backend.close()
    encoders.close()


@dataclass(frozen=True)
class Bad:
    """A request that must be refused, and how."""

    name: str
    status: int
    path: str = "/v1/memories/known/observe"
    body: Any = None
    raw: bytes | None = None
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    code: str = "INVALID_INPUT"

    def content(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.body).encode()


OBSERVE, CREATE = "/v1/memories/known/observe", "/v1/memories"
CHECKPOINTS, RESTORE = "/v1/memories/known/checkpoints", "/v1/memories/known/restore"
PREDICT = "/v1/memories/known/predict-next"
FORK, NO_TAG = "/v1/memories/known/fork", "CHECKPOINT_NOT_FOUND"
BAD = [
    Bad("empty text", 422, body={"text": ""}),
    Bad("white space", 422, body={"text": " \n"}),
    Bad("NUL byte", 422, body={"text": f"{SECRET}\x00"}),
    Bad("lone surrogate", 422, raw=b'{"text": "' + SECRET.encode() + b' \\ud800"}'),
    Bad("surrogate as a field name", 422, raw=b'{"\\ud800": 1}'),
    Bad("text over its limit", 413, body={"text": "x" * 300_000}, code="TOO_LARGE"),
    Bad("10 MB text", 413, body={"text": "x" * 10_000_000}, code="TOO_LARGE"),
    Bad("text of a wrong type", 422, body={"text": 7}),
    Bad("text as null", 422, body={"text": None}),
    Bad("text as a list", 422, body={"text": ["a"]}),
    Bad("unknown field", 422, body={"text": "a", "colour": "red"}),
    Bad("nothing in the body", 422, body={}),
    Bad("text and observations", 422, body={"text": "a", "observations": [{"text": "b"}]}),
    Bad("a domain beside observations", 422, body={"domain": "d", "observations": [{"text": "b"}]}),
    Bad("no observations", 422, body={"observations": []}),
    Bad("one bad observation of two", 422, body={"observations": [{"text": "fine"}, {"text": ""}]}),
    Bad("unknown field inside", 422, body={"observations": [{"text": "fine", "x": 1}]}),
    Bad("too many observations", 413, body={"observations": [{"text": "a"}] * 1025}, code="TOO_LARGE"),
    Bad("learning rate as text", 422, body={"text": "a", "learning_rate": "fast"}),
    Bad("learning rate over 1", 422, body={"text": "a", "learning_rate": 1.5}),
    Bad("learning rate NaN", 422, raw=b'{"text": "a", "learning_rate": NaN}'),
    Bad("metadata with depth", 422, body={"text": "a", "metadata": {"a": {"b": 1}}}),
    Bad("metadata not finite", 422, raw=b'{"text": "a", "metadata": {"a": 1e999}}'),
    Bad("metadata over 64 bits", 422, body={"text": "a", "metadata": {"a": 2**80}}),
    Bad("metadata over its size", 413, body={"text": "a", "metadata": {"a": "x" * 20_000}}, code="TOO_LARGE"),
    Bad("metadata with many keys", 422, body={"text": "a", "metadata": {str(n): n for n in range(40)}}),
    Bad("long domain", 422, body={"text": "a", "domain": "d" * 300}),
    Bad("body is a list", 422, body=[1]),
    Bad("body is null", 422, body=None),
    Bad("body is text", 422, body="text"),
    Bad("no body", 422, raw=b""),
    Bad("cut JSON", 400, raw=b'{"text": "a'),
    Bad("JSON nested too deep", 400, raw=b"[" * 200_000),
    Bad("a number of many digits", 400, raw=b'{"text": "a", "learning_rate": ' + b"9" * 5000 + b"}"),
    Bad("invalid UTF-8", 400, raw=b'{"text": "\xff"}'),
    Bad("not said to be JSON", 422, body={"text": "a"}, headers={"content-type": "text/plain"}),
    Bad("key with spaces", 422, body={"text": "a"}, headers={**JSON, "Idempotency-Key": "a b"}),
    Bad("key too long", 422, body={"text": "a"}, headers={**JSON, "Idempotency-Key": "k" * 256}),
    Bad("unknown memory", 404, path="/v1/memories/nobody/observe", body={"text": "a"}, code="MEMORY_NOT_FOUND"),
    Bad("name with a slash", 404, path="/v1/memories/a%2Fb/observe", body={"text": "a"}, code="PATH_NOT_FOUND"),
    Bad("name with dots", 422, path="/v1/memories/a..b/observe", body={"text": "a"}),
    Bad("name that goes up", 404, path="/v1/memories/%2e%2e%2fetc/observe", body={"text": "a"}, code="PATH_NOT_FOUND"),
    Bad("name with a space", 422, path="/v1/memories/a%20b/observe", body={"text": "a"}),
    Bad("name with a NUL", 422, path="/v1/memories/a%00b/observe", body={"text": "a"}),
    Bad("name that is not UTF-8", 422, path="/v1/memories/%ff/observe", body={"text": "a"}),
    Bad("name of 300 characters", 422, path=f"/v1/memories/{'n' * 300}/observe", body={"text": "a"}),
    Bad("create without a name", 422, path=CREATE, body={}),
    Bad("create a name that goes up", 422, path=CREATE, body={"name": "../etc"}),
    Bad("create a name with a slash", 422, path=CREATE, body={"name": "a/b"}),
    Bad("create a name with a space", 422, path=CREATE, body={"name": "a b"}),
    Bad("create a name of 300 characters", 422, path=CREATE, body={"name": "n" * 300}),
    Bad("create an empty name", 422, path=CREATE, body={"name": ""}),
    Bad("create a name that is a number", 422, path=CREATE, body={"name": 5}),
    Bad("create a name with a surrogate", 422, path=CREATE, raw=b'{"name": "\\udfff"}'),
    Bad("create a taken name", 409, path=CREATE, body={"name": "known"}, code="MEMORY_EXISTS"),
    Bad("create with an unknown encoder", 422, path=CREATE, body={"name": "new", "encoder": "magic"}),
    Bad("create with an unknown variant", 422, path=CREATE, body={"name": "new", "variant": "magic"}),
    Bad("create with no units", 422, path=CREATE, body={"name": "new", "units": 0}),
    Bad("create with half a unit", 422, path=CREATE, body={"name": "new", "units": 1.5}),
    Bad("create with units as text", 422, path=CREATE, body={"name": "new", "units": "64"}),
    Bad("create with units as truth", 422, path=CREATE, body={"name": "new", "units": True}),
    Bad("create for another key size", 422, path=CREATE, body={"name": "new", "key_dim": 8}),
    Bad("create with a wrong fingerprint", 422, path=CREATE, body={"name": "new", "encoder_fingerprint": "x"}),
    Bad("create with an unknown field", 422, path=CREATE, body={"name": "new", "colour": "red"}),
    Bad("infer nothing", 422, path="/v1/memories/known/infer", body={"prompt": " "}),
    Bad("infer no patterns", 422, path="/v1/memories/known/infer", body={"prompt": "a", "pattern_limit": 0}),
    Bad("infer 1000 patterns", 422, path="/v1/memories/known/infer", body={"prompt": "a", "pattern_limit": 1000}),
    Bad("surprise of nothing", 422, path="/v1/memories/known/surprise", body={"texts": []}),
    Bad("surprise of both", 422, path="/v1/memories/known/surprise", body={"text": "a", "texts": ["b"]}),
    Bad("consolidate pushes", 422, path="/v1/memories/known/consolidate", body={"ewc_lambda": -1}),
    Bad("consolidate no step", 422, path="/v1/memories/known/consolidate", body={"steps": 0}),
    Bad("explain no patterns", 422, path="/v1/memories/known/explain?top_k=0", method="GET"),
    Bad("explain an empty domain", 422, path="/v1/memories/known/explain?domain=", method="GET"),
    Bad("attend to nothing", 422, path="/v1/memories/known/attention", body={"query": " "}),
    Bad("attend with 1000 patterns", 422, path="/v1/memories/known/attention", body={"query": "a", "top_k": 1000}),
    Bad("predict after nothing", 422, path=PREDICT, body={}),
    Bad("predict after both", 422, path=PREDICT, body={"text": "a", "session": "s"}),
    Bad("predict an unknown session", 404, path=PREDICT, body={"session": "s"}, code="SESSION_NOT_FOUND"),
    Bad("diff an unknown tag", 404, path="/v1/memories/known/diff?tag=never", method="GET", code=NO_TAG),
    Bad("diff an unknown memory", 404, path="/v1/memories/known/diff?other=x", method="GET", code="MEMORY_NOT_FOUND"),
    Bad("diff a bad name", 422, path="/v1/memories/known/diff?other=a%2Fb", method="GET"),
    Bad("merge nothing", 422, path="/v1/memories/known/merge", body={}),
    Bad("merge what has no checkpoint", 404, path="/v1/memories/known/merge", body={"other": "known"}, code=NO_TAG),
    Bad("stats in unknown detail", 422, path="/v1/memories/known?detailed=very", method="GET"),
    Bad("checkpoint without tag", 422, path=CHECKPOINTS, body={}),
    Bad("checkpoint with a bad tag", 422, path=CHECKPOINTS, body={"tag": "../v1"}),
    Bad("checkpoint with a bad text", 422, path=CHECKPOINTS, body={"tag": "v1", "description": "\x00"}),
    Bad("restore an unknown tag", 404, path=RESTORE, body={"tag": "never"}, code=NO_TAG),
    Bad("fork an unknown tag", 404, path=FORK, body={"tag": "never", "name": "new"}, code=NO_TAG),
    Bad("fork to a bad name", 422, path=FORK, body={"tag": "v1", "name": "a/b"}),
    Bad("list no entries", 422, path="/v1/memories?limit=0", method="GET"),
    Bad("list by a word", 422, path="/v1/memories?limit=many", method="GET"),
    Bad("delete an unknown memory", 404, path="/v1/memories/nobody", method="DELETE", code="MEMORY_NOT_FOUND"),
    Bad("an unknown path", 404, path="/v1/nothing", method="GET", code="PATH_NOT_FOUND"),
    Bad("a method that is not taken", 405, path="/v1/memories/known", method="PUT", code="METHOD_NOT_ALLOWED"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_a_bad_request_is_refused_in_the_one_shape_and_changes_nothing(
    client: httpx.AsyncClient, bad: Bad, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = (await client.get("/v1/memories/known")).json()
    answer = await client.request(bad.method, bad.path, content=bad.content(), headers=bad.headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (bad.status, bad.code)
    assert set(error) == {"code", "message", "hint", "request_id"}
    assert error["message"] and error["hint"]
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert (await client.get("/v1/memories/known")).json() == before
    assert [memory["name"] for memory in (await client.get("/v1/memories")).json()["memories"]] == ["known"]
    assert SECRET not in answer.text + caplog.text


async def test_a_body_that_grows_over_the_cap_while_it_is_read_is_too_large(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    answer = await client.post(OBSERVE, content=chunks(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "TOO_LARGE")


async def test_a_content_length_that_is_no_number_does_no_harm(client: httpx.AsyncClient) -> None:
    answer = await client.post(OBSERVE, content=b'{"text": "a word"}', headers={**JSON, "content-length": "9" * 50})
    assert answer.status_code == 413


async def test_a_405_says_what_is_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.put("/health")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
