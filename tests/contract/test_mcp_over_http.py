"""The MCP endpoints as plain HTTP: who may call, what they refuse, and that nothing sent to them breaks them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deployments.bench import fuzz_mcp
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.mcp_door import mount_mcp
from deployments.settings import Settings
from memory_core.ids import EncoderId, MemoryName
from tests.held_open import held_open
from tests.unit.deployments.fake_backend import FakeBackend, FakeEncoderPool

HASH = EncoderId("hash")
MAX_BODY_BYTES = 100_000
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
FUZZ_CASES = 400
SECRET = "xylophone-secret"


async def own_pid(_: MemoryName) -> int:
    return os.getpid()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def app(backend: FakeBackend) -> FastAPI:
    encoders = FakeEncoderPool()
    settings = Settings(encoder="hash", allowed_hosts="memory.example.org", max_body_bytes=MAX_BODY_BYTES)
    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=HASH,
        readiness=Readiness(backend=backend, encoders=encoders, encoder=HASH),
        max_body_bytes=MAX_BODY_BYTES,
        owner_pid=own_pid,
    )
    api = build_api(services)
    mount_mcp(api, settings, backend, encoders)
    return api


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        held_open(app.router.lifespan_context(app)),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=HEADERS) as client,
    ):
        yield client


def observe(context: str, **params: Any) -> dict[str, Any]:
    arguments = {"context": context}
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "observe", "arguments": arguments, **params},
    }


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25", None])
async def test_every_older_revision_is_served_without_a_session(http: httpx.AsyncClient, version: str | None) -> None:
    headers = {} if version is None else {"mcp-protocol-version": version}
    answer = await http.post("/mcp", json=LIST, headers=headers)
    assert answer.status_code == 200
    assert "mcp-session-id" not in answer.headers
    assert '"observe"' in answer.text


async def test_the_path_chooses_the_memory(http: httpx.AsyncClient, backend: FakeBackend) -> None:
    await http.post("/mcp", json=observe("First."))
    await http.post("/memories/team/mcp", json=observe("Second."))
    assert {name: memory.texts for name, memory in backend.memories.items()} == {
        "default": ["First."],
        "team": ["Second."],
    }


async def test_a_bad_name_in_the_path_is_an_answer_of_the_tool(http: httpx.AsyncClient) -> None:
    answer = await http.post("/memories/..%20x/mcp", json=observe("First."))
    assert answer.status_code == 200
    assert "INVALID_INPUT" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:9"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "memory.example.org"}, 200),
        ({"host": "memory.example.org:8443", "origin": "https://memory.example.org"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "evil.example.com"}, 421),
        ({"host": "127.0.0.1.evil.example.com"}, 421),
        ({"origin": "http://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example.com"}, 403),
    ],
)
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_only_known_hosts_and_origins_are_served(
    http: httpx.AsyncClient, headers: dict[str, str], status: int, version: str
) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {**LIST, "params": {"_meta": meta}}
    sent = {"mcp-protocol-version": version, "mcp-method": "tools/list", **headers}
    assert (await http.post("/mcp", json=message, headers=sent)).status_code == status


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_is_nothing_but_post(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/mcp")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


async def test_a_body_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/mcp", json=observe("x" * MAX_BODY_BYTES))
    assert answer.status_code == 413


async def test_broken_messages_break_nothing_and_reach_no_log(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fuzz_mcp, "_HUGE", 10_000)
    monkeypatch.setattr(fuzz_mcp, "_STRINGS", (*fuzz_mcp._STRINGS, SECRET, SECRET))
    draw = fuzz_mcp.random.Random(7)
    with caplog.at_level("INFO"):
        for _ in range(FUZZ_CASES):
            body, headers = fuzz_mcp._message(draw)
            assert not await fuzz_mcp._is_crash(http, "/mcp", body, headers), body[:500]
    assert (await http.post("/mcp", json=observe("It lives."))).status_code == 200
    assert SECRET not in caplog.text


async def test_white_space_around_a_header_value_is_no_part_of_it(http: httpx.AsyncClient) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    message = {**LIST, "params": {"_meta": meta}}
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": " tools/list\t "}
    answer = await http.post("/mcp", json=message, headers=headers)
    assert answer.status_code == 200, answer.text
    refused = await http.post("/mcp", json=message, headers={**headers, "mcp-method": "tools/call"})
    assert refused.status_code == 400
