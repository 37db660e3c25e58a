"""Keys over HTTP: who gets in, what each scope allows, and that tenants do not see each other."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.access.audit import AuditTrail
from deployments.access.authentication import KeyDoor
from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.key_shelf import KeyShelf
from deployments.access.principal import Limits
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.mcp_door import mount_mcp
from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore
from tests.held_open import held_open

HASH = EncoderId("hash")
SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
ALL = frozenset({"observe", "infer", "admin"})
SECRET = "xylophone-secret"


class House:
    """A service with keys on a fresh volume."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder)
        self.shelf, self.audit = KeyShelf(self.store), AuditTrail(self.store)
        self.encoders = LocalEncoderPool()
        self.inner = LocalBackend(self.store, self.encoders)
        backend = AuthorizedBackend(self.inner, self.audit, self._pid)
        self.app = build_api(
            Services(
                backend=backend,
                encoders=self.encoders,
                encoder=HASH,
                readiness=Readiness(backend=self.inner, encoders=self.encoders, encoder=HASH),
                max_body_bytes=1024 * 1024,
                owner_pid=backend.owner_pid,
                authenticator=KeyDoor(self.shelf.find),
            )
        )
        mount_mcp(self.app, Settings(encoder="hash", mcp_tools="full"), backend, self.encoders)

    async def _pid(self, name: MemoryName) -> int:
        await self.inner.stats(name)
        return 4711

    def key(self, **rights: Any) -> str:
        return self.shelf.create(**{"scopes": ALL, **rights})[0]

    def client(self, key: str | None = None, **rights: Any) -> httpx.AsyncClient:
        shown = key or self.key(**rights)
        headers = {"Authorization": f"Bearer {shown}"}
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path)
    yield opened
    await opened.inner.close()
    opened.encoders.close()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def made(client: httpx.AsyncClient, name: str = "shared") -> None:
    assert (await client.post("/v1/memories", json={"name": name, **SMALL})).status_code == 201
    learned = await client.post(f"/v1/memories/{name}/observe", json={"text": f"{SECRET} of {name}."})
    assert learned.status_code == 200
    assert (await client.post(f"/v1/memories/{name}/checkpoints", json={"tag": "v1"})).status_code == 201


async def test_every_path_but_the_probes_and_the_document_wants_a_key(house: House) -> None:
    public = {"/health", "/ready", "/openapi.json", "/docs"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url="http://test") as stranger:
        paths = {(path, method) for path, ways in house.app.openapi()["paths"].items() for method in ways}
        for path, method in {*paths, ("/mcp", "post"), ("/memories/a/mcp", "post"), ("/nothing", "get")}:
            answer = await stranger.request(method, path.replace("{name}", "a"), json={"name": "a"})
            if path.startswith("/.well-known/"):
                assert code(answer) == (404, "NO_OAUTH")
            elif path in public:
                assert answer.status_code == 200
            else:
                assert code(answer) == (401, "UNAUTHENTICATED"), path
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert answer.headers["X-Request-ID"]


def test_the_document_says_how_to_show_a_key(house: House) -> None:
    document = house.app.openapi()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/v1/memories"]["get"]["security"] == [{"bearer": []}, {"header": []}]
    assert "security" not in document["paths"]["/health"]["get"]


async def test_a_key_may_come_in_either_header_and_not_in_the_url(house: House) -> None:
    key = house.key()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=house.app), base_url="http://test") as client:
        assert (await client.get("/v1/memories", headers={"X-API-Key": key})).status_code == 200
        assert (await client.get("/v1/memories", headers={"authorization": f"bearer {key}"})).status_code == 200
        assert (await client.get("/v1/memories", params={"api_key": key})).status_code == 401


CALLS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "observe": ("POST", "/v1/memories/shared/observe", {"text": "a word"}),
    "consolidate": ("POST", "/v1/memories/shared/consolidate", {}),
    "checkpoint": ("POST", "/v1/memories/shared/checkpoints", {"tag": "v2"}),
    "merge": ("POST", "/v1/memories/shared/merge", {"other": "shared"}),
    "infer": ("POST", "/v1/memories/shared/infer", {"prompt": "a word"}),
    "surprise": ("POST", "/v1/memories/shared/surprise", {"text": "a word"}),
    "explain": ("GET", "/v1/memories/shared/explain", None),
    "attention": ("POST", "/v1/memories/shared/attention", {"query": "a word"}),
    "predict": ("POST", "/v1/memories/shared/predict-next", {"text": "a word"}),
    "diff": ("GET", "/v1/memories/shared/diff", None),
    "owner": ("GET", "/v1/memories/shared/owner", None),
    "fork": ("POST", "/v1/memories/shared/fork", {"tag": "v1", "name": "forked"}),
    "fork-many": ("POST", "/v1/memories/shared/forks", {"tag": "v1", "name": "many", "count": 2}),
    "re-encode": ("POST", "/v1/memories/shared/re-encode", {"encoder": "hash", "new_name": "again"}),
    "forget": ("POST", "/v1/memories/shared/forget", {"subject": "nobody here", "dry_run": True}),
    "restore": ("POST", "/v1/memories/shared/restore", {"tag": "v1"}),
    "rollback": ("POST", "/v1/memories/shared/rollback", {"to_seq": 1}),
    "create": ("POST", "/v1/memories", {"name": "created", **SMALL}),
    "stats": ("GET", "/v1/memories/shared", None),
    "family": ("GET", "/v1/memories/shared/forks", None),
    "checkpoints": ("GET", "/v1/memories/shared/checkpoints", None),
    "delete": ("DELETE", "/v1/memories/shared", None),
}
NEEDS = {
    "observe": {"observe", "consolidate", "checkpoint", "merge"},
    "infer": {"infer", "surprise", "explain", "attention", "predict", "diff"},
    "admin": {"owner", "fork", "fork-many", "re-encode", "forget", "restore", "rollback", "create", "delete"},
}


@pytest.mark.parametrize("scope", sorted(ALL))
async def test_each_scope_allows_its_calls_and_no_others(house: House, scope: str) -> None:
    async with house.client() as owner, house.client(scopes=frozenset({scope})) as client:
        await made(owner)
        anyone = set(CALLS) - set().union(*NEEDS.values())
        for call, (method, path, body) in CALLS.items():
            answer = await client.request(method, path, json=body)
            if call in NEEDS[scope] | anyone:
                assert answer.is_success, (call, answer.text)
            else:
                assert code(answer) == (403, "SCOPE_MISSING"), call


async def test_what_another_tenant_has_does_not_exist(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async with house.client(tenant="acme") as acme, house.client(tenant="other") as other, house.client() as default:
        await made(acme)
        for stranger in (other, default):
            assert (await stranger.get("/v1/memories")).json() == {"memories": [], "next_cursor": None}
            for call, (method, path, body) in CALLS.items():
                if call != "create":
                    answer = await stranger.request(method, path, json=body)
                    assert code(answer) == (404, "MEMORY_NOT_FOUND"), call
                    assert "acme" not in answer.text
            await made(stranger)
            assert "acme" not in (await stranger.get("/v1/memories", params={"cursor": "~acme~"})).text
        assert (await stranger.get("/v1/memories/~acme~shared")).status_code == 422
        await acme.delete("/v1/memories/shared")
        for stranger in (other, default):
            assert [one["name"] for one in (await stranger.get("/v1/memories")).json()["memories"]] == ["shared"]
    assert SECRET not in caplog.text


async def test_a_tenant_sees_its_own_names_everywhere(house: House) -> None:
    async with house.client(tenant="acme") as acme:
        await made(acme)
        assert (await acme.post("/v1/memories/shared/fork", json={"tag": "v1", "name": "child"})).status_code == 201
        for call, (method, path, body) in CALLS.items():
            answer = await acme.request(method, path, json=body)
            assert answer.is_success, (call, answer.text)
            assert "~" not in answer.text, call
        taken = await acme.post("/v1/memories", json={"name": "child", **SMALL})
        assert code(taken) == (409, "MEMORY_EXISTS")
        gone = await acme.get("/v1/memories/shared")
        assert "~" not in taken.text + gone.text
        assert (await acme.get("/v1/memories/child")).json()["parent"] == "shared@v1"


async def test_a_list_is_paged_within_the_tenant_and_the_globs_of_a_key(house: House) -> None:
    async with house.client(tenant="acme") as acme, house.client() as default:
        for client, names in ((acme, ("team-a", "team-b", "x", "team-c")), (default, ("team-z", "b"))):
            for name in names:
                assert (await client.post("/v1/memories", json={"name": name, **SMALL})).status_code == 201
    async with house.client(tenant="acme", memories=("team-*",)) as client:
        names, cursor = [], None
        for _ in range(5):
            page = (
                await client.get("/v1/memories", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            ).json()
            names += [one["name"] for one in page["memories"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert names == ["team-a", "team-b", "team-c"]
        assert code(await client.get("/v1/memories/x")) == (404, "MEMORY_NOT_FOUND")
        assert code(await client.post("/v1/memories", json={"name": "y"})) == (403, "NAME_NOT_ALLOWED")
    async with house.client() as client:
        assert [one["name"] for one in (await client.get("/v1/memories")).json()["memories"]] == ["b", "team-z"]


async def test_rates_and_quotas_answer_429_with_the_wait(house: House) -> None:
    limits = Limits(observations_per_s=1, memories=1, bytes_per_day=200)
    async with house.client(limits=limits) as client:
        await made(client, "one")
        full = await client.post("/v1/memories", json={"name": "two", **SMALL})
        assert (code(full), full.headers["Retry-After"]) == ((429, "QUOTA_EXCEEDED"), "3600")
        fast = await client.post("/v1/memories/one/observe", json={"text": "again"})
        assert code(fast) == (429, "RATE_LIMITED")
        assert int(fast.headers["Retry-After"]) >= 1
    async with house.client(limits=Limits(bytes_per_day=200)) as client:
        assert (await client.post("/v1/memories/one/observe", json={"text": "long " * 60})).status_code == 200
        assert code(await client.post("/v1/memories/one/observe", json={"text": "b"})) == (429, "RATE_LIMITED")


async def test_destructive_calls_are_written_down_without_content(house: House) -> None:
    async with house.client(tenant="acme") as acme:
        await made(acme)
        await acme.post("/v1/memories/shared/forget", json={"subject": SECRET})
        await acme.post("/v1/memories/shared/restore", json={"tag": "never"})
        await acme.delete("/v1/memories/shared")
    entries = house.audit.entries()
    assert [(entry.action, entry.outcome) for entry in entries] == [
        ("forget", "asked"),
        ("forget", "done"),
        ("restore", "asked"),
        ("restore", "CHECKPOINT_NOT_FOUND"),
        ("delete", "asked"),
        ("delete", "done"),
    ]
    assert {(entry.tenant, entry.memory) for entry in entries} == {("acme", "shared")}
    assert SECRET not in str(entries)


async def test_secrets_and_content_reach_no_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = house.key()
    async with house.client(key) as client:
        await made(client)
        await client.delete("/v1/memories/shared")
    assert key.rpartition("_")[2] not in caplog.text
    assert SECRET not in caplog.text


async def test_a_small_bomb_is_stopped_at_the_cap(house: House) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    packed = gzip.compress(b'{"text": "a packed word"}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    async with house.client() as client:
        await made(client)
        path = "/v1/memories/shared/observe"
        assert len(bomb) < 200_000
        assert code(await client.post(path, content=bomb, headers=headers)) == (413, "TOO_LARGE")
        assert code(await client.post(path, content=packed[:-3], headers=headers)) == (422, "INVALID_INPUT")
        assert code(await client.post(path, content=b"{}", headers={**headers, "content-encoding": "br"})) == (
            422,
            "ENCODING_NOT_SUPPORTED",
        )
        assert (await client.post(path, content=packed, headers=headers)).status_code == 200


async def test_concurrent_callers_keep_their_own_names(house: House) -> None:
    async with house.client(tenant="acme") as acme, house.client(tenant="other") as other:
        await made(acme, "one")
        await made(other, "two")
        for answers in await asyncio.gather(
            *(asyncio.gather(acme.get("/v1/memories/one"), other.get("/v1/memories/one")) for _ in range(20))
        ):
            assert [answer.status_code for answer in answers] == [200, 404]


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
async def test_tenants_and_scopes_hold_through_mcp(house: House, version: str) -> None:
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": version,
    }

    async def ask(client: httpx.AsyncClient, method: str, params: dict[str, Any], path: str = "/mcp") -> str:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await client.post(path, json=body, headers=headers)
        assert answer.status_code == 200
        return answer.text

    def tool(name: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
        return "tools/call", {"name": name, "arguments": arguments}

    async with (
        held_open(house.app.router.lifespan_context(house.app)),
        house.client(tenant="acme") as acme,
        house.client(tenant="other") as other,
        house.client(tenant="acme", scopes=frozenset({"infer"})) as reader,
    ):
        await made(acme)
        assert SECRET in await ask(acme, *tool("infer", prompt=f"{SECRET} of shared.", memory="shared"))
        assert "shared" in await ask(acme, *tool("list_memories"))
        assert "shared" not in await ask(other, *tool("list_memories"))
        assert "shared" not in await ask(other, "resources/list", {})
        for stolen in (
            await ask(other, *tool("infer", prompt=SECRET, memory="shared")),
            await ask(other, *tool("stats"), path="/memories/shared/mcp"),
        ):
            assert "MEMORY_NOT_FOUND" in stolen
            assert "acme" not in stolen
        assert "SCOPE_MISSING" in await ask(reader, *tool("observe", context="a word", memory="shared"))
        assert SECRET not in await ask(other, "resources/read", {"uri": "memory://shared/patterns"})


async def test_an_export_tells_no_stored_name(house: House) -> None:
    async with house.client(tenant="acme") as acme:
        await made(acme)
        for query in ({}, {"tag": "v1"}, {"format": "jsonl"}):
            exported = await acme.get("/v1/memories/shared/export", params=query)
            assert exported.status_code == 200
            assert b"~acme~" not in exported.content
            assert b'"shared"' in exported.content
