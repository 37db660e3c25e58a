"""Classes, PATCH, versions and packed bodies over HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from backports import zstd

from deployments.bench.fuzz_target import SMALL, build_target
from deployments.http.packing import accepted
from tests.held_open import held_open

TINY = {name: value for name, value in SMALL.items() if name != "units"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = build_target(tmp_path / "v")
    async with (
        held_open(app.router.lifespan_context(app)),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client,
    ):
        yield client


async def terms_of(http: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await http.get(f"/v1/memories/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["terms"]
    return found


async def test_a_class_decides_what_a_memory_starts_as(http: httpx.AsyncClient) -> None:
    for name in ("session", "project", "expert"):
        asked = {"name": name, "class": name, **SMALL}
        assert (await http.post("/v1/memories", json=asked)).status_code == 201
    session, project, expert = [await terms_of(http, name) for name in ("session", "project", "expert")]
    assert (session["ttl_s"], session["is_read_only"]) == (86_400.0, False)
    assert (project["expires_at"], project["is_read_only"]) == (None, False)
    assert expert["is_read_only"] is True
    refused = await http.post("/v1/memories/expert/observe", json={"text": "A fact."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "READ_ONLY")
    assert (await http.patch("/v1/memories/expert", json={"read_only": False})).status_code == 200
    assert (await http.post("/v1/memories/expert/observe", json={"text": "A fact."})).status_code == 200
    stays = {"name": "s2", "class": "session", "ttl_s": 0, "description": "kept", **SMALL}
    assert (await http.post("/v1/memories", json=stays)).status_code == 201
    assert (await terms_of(http, "s2"))["expires_at"] is None
    twice = {"name": "d", "device": "cpu", "placement": {"device": "cpu"}}
    assert (await http.post("/v1/memories", json=twice)).status_code == 422


async def test_a_patch_changes_what_it_names_at_the_version_it_names(http: httpx.AsyncClient) -> None:
    await http.post("/v1/memories", json={"name": "a", **SMALL})
    tag = (await http.get("/v1/memories/a")).headers["etag"]
    changed = await http.patch("/v1/memories/a", json={"description": "Notes", "ttl_s": 60}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["description"]) == (200, "Notes")
    forever = await http.patch("/v1/memories/a", json={"ttl_s": None})
    assert (forever.json()["expires_at"], forever.json()["description"]) == (None, "Notes")
    await http.post("/v1/memories/a/observe", json={"text": "Ferries leave at noon."})
    for body in ({}, {"ttl_s": -1}, {"class": "expert"}, {"description": "x" * 2000}):
        assert (await http.patch("/v1/memories/a", json=body)).status_code == 422
    late = await http.patch("/v1/memories/a", json={"description": "Other"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    assert (await http.delete("/v1/memories/a", headers={"If-Match": tag})).status_code == 412
    plan = await http.delete("/v1/memories/a", params={"dry_run": True})
    assert (plan.status_code, plan.json()["observation_count"]) == (200, 1)
    now = (await http.get("/v1/memories/a")).headers["etag"]
    assert (await http.delete("/v1/memories/a", headers={"If-Match": f'"x", {now}'})).status_code == 204
    assert (await http.get("/v1/memories/a")).status_code == 404


@pytest.mark.parametrize("pack, name", [(gzip.compress, "gzip"), (zstd.compress, "zstd")])
async def test_bodies_may_be_packed_both_ways_and_bombs_stop_at_the_cap(
    http: httpx.AsyncClient, pack: Any, name: str
) -> None:
    await http.post("/v1/memories", json={"name": "a", **SMALL})
    headers = {"content-type": "application/json", "content-encoding": name}

    async def send(content: bytes) -> httpx.Response:
        return await http.post("/v1/memories/a/observe", content=content, headers=headers)

    body = pack(b'{"text": "' + b"Ferries leave at noon. " * 200 + b'"}')
    assert (await send(body)).status_code == 200
    assert (await send(pack(b" " * 100_000_000))).status_code == 413
    for broken in (body[:-3], body + b"x", body + body, b"no"):
        assert (await send(broken)).status_code == 422
    asked = await http.get("/openapi.json", headers={"accept-encoding": f"br, {name};q=0.5"})
    assert asked.headers["content-encoding"] == name
    assert "Accept-Encoding" in asked.headers["vary"]
    unpack = gzip.decompress if name == "gzip" else zstd.decompress
    raw = asked.content if asked.content.startswith(b"{") else unpack(asked.content)
    assert b"openapi" in raw


def test_the_best_packing_that_a_reader_takes_is_chosen() -> None:
    headers = {
        "": None,
        "br": None,
        "gzip": "gzip",
        "gzip, zstd": "zstd",
        "gzip;q=1.0, zstd;q=0.5": "gzip",
        "zstd;q=0, gzip;q=0": None,
        "*": "zstd",
        "*;q=0.1, zstd;q=0": "gzip",
        "zstd;q=x": None,
    }
    assert {header: accepted(header) for header in headers} == headers
