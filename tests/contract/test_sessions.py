"""Sessions over HTTP: a memory of one conversation, of one key, for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.access.key_shelf import KeyShelf
from deployments.chat.transcripts import RamTranscripts
from memory_core.ids import MemoryName
from memory_core.storage.local_store import LocalStore
from tests.chat_house import ALL, SMALL, ChatHouse
from tests.redis_server import running_redis

CAT = "My cat is called Miso."


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def house(tmp_path: Path, clock: Clock) -> AsyncIterator[ChatHouse]:
    opened = ChatHouse(tmp_path, RamTranscripts(clock), clock_s=clock)
    yield opened
    await opened.close()


async def opened(client: httpx.AsyncClient, **fields: Any) -> str:
    answer = await client.post("/v1/sessions", json=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def say(client: httpx.AsyncClient, session: str, said: str, **fields: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": said}], "session": session, **fields}
    answer = await client.post("/v1/chat", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_session_remembers_what_was_said_in_it_and_no_other_does(house: ChatHouse) -> None:
    async with house.client() as client:
        here, there = await opened(client), await opened(client)
        learned = (await say(client, here, CAT))["neural_memory"]["learned"][0]
        assert (learned["memory"], learned["learned"]) == ("session", True)
        told = await say(client, here, "What is my cat called?")
        assert told["choices"][0]["message"]["content"] == f"{CAT} [session#0]"
        assert (await say(client, there, "What is my cat called?"))["neural_memory"]["patterns"] == []
        transcript = (await client.get(f"/v1/sessions/{here}")).json()["messages"]
        assert [(one["role"], one["content"][:12]) for one in transcript][:3] == [
            ("user", CAT[:12]),
            ("assistant", "That is new "),
            ("user", "What is my c"),
        ]
        assert [one["id"] for one in (await client.get("/v1/sessions")).json()["sessions"]] == [here, there]


async def test_a_session_belongs_to_the_key_that_opened_it_and_its_memory_has_no_name(house: ChatHouse) -> None:
    async with house.client() as client, house.client() as other, house.client(tenant="rival") as rival:
        session = await opened(client)
        await say(client, session, CAT)
        for stranger in (other, rival):
            assert (await stranger.get(f"/v1/sessions/{session}")).status_code == 404
            assert (await stranger.delete(f"/v1/sessions/{session}")).status_code == 404
            assert (await stranger.get("/v1/sessions")).json() == {"sessions": []}
            assert (await stranger.get("/v1/memories")).json()["memories"] == []
        assert (await client.get("/v1/memories")).json()["memories"] == []
        for name in (f"~~session~{session}", f"session~{session}"):
            assert (await client.get(f"/v1/memories/{name}")).status_code in {404, 422}


async def test_visitors_who_share_the_key_of_a_page_do_not_see_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.chat.sessions.SESSIONS_MAX", 2)
    shelf = KeyShelf(LocalStore(tmp_path))
    visitors, _ = shelf.create(tenant="demo", scopes=frozenset({"infer"}))
    page_key, _ = shelf.create(tenant="demo", scopes=ALL)
    house = ChatHouse(tmp_path, page_key=page_key, page_chat_key=visitors)
    async with house.client_of(visitors) as one, house.client_of(visitors) as other, house.client_of(page_key) as page:
        mine, theirs = await opened(one), await opened(other)
        await say(one, mine, CAT)
        assert (await say(other, theirs, "What is my cat called?"))["neural_memory"]["patterns"] == []
        assert (await other.get(f"/v1/sessions/{theirs}")).json()["messages"][0]["content"] == "What is my cat called?"
        for client in (other, page):
            assert (await client.get("/v1/sessions")).json() == {"sessions": []}
            assert (await client.get("/v1/memories")).json()["memories"] == []
        assert (await page.get(f"/v1/sessions/{mine}")).status_code == 404
        await say(one, mine, "My cat is three.")
        assert (await other.post("/v1/sessions", json={})).status_code == 201
        assert (await one.get(f"/v1/sessions/{mine}")).status_code == 200
        assert (await other.get(f"/v1/sessions/{theirs}")).status_code == 404
    await house.close()


async def test_when_its_time_is_over_a_session_and_its_memory_are_gone(house: ChatHouse, clock: Clock) -> None:
    async with house.client() as client:
        short, long = await opened(client, ttl_s=60), await opened(client, ttl_s=600)
        await say(client, short, CAT)
        clock.now_s += 59
        assert await house.chat.sessions.sweep() == 0
        clock.now_s += 1
        assert (await client.get(f"/v1/sessions/{short}")).status_code == 404
        assert await house.chat.sessions.sweep() == 1
        assert [info.name for info in (await house.inner.list_memories()).memories] == [f"~~session~{long}"]
        assert await house.chat.sessions.sweep() == 0
        assert (await client.delete(f"/v1/sessions/{long}")).status_code == 204
        assert (await house.inner.list_memories()).memories == ()
        for ttl_s in (0, -1, 1e9):
            assert (await client.post("/v1/sessions", json={"ttl_s": ttl_s})).status_code == 422


async def test_a_sweep_leaves_every_named_memory_alone(house: ChatHouse) -> None:
    async with house.client() as client, house.client(tenant="zebra") as tenant:
        for one in (client, tenant):
            assert (await one.post("/v1/memories", json={"name": "session-notes", **SMALL})).status_code == 201
        assert await house.chat.sessions.sweep() == 0
        assert len((await house.inner.list_memories()).memories) == 2


async def test_a_session_is_promoted_into_a_long_term_memory_once(house: ChatHouse) -> None:
    async with house.client() as client, house.client(scopes=frozenset({"infer"})) as reader:
        await client.post("/v1/memories", json={"name": "notes", **SMALL})
        session = await opened(client)
        await say(client, session, CAT)
        path = f"/v1/sessions/{session}/promote"
        first = (await client.post(path, json={"memory": "notes"})).json()
        again = (await client.post(path, json={"memory": "notes"})).json()
        assert (first["texts_merged"], again["texts_merged"], again["texts_known"]) == (1, 0, 1)
        known = (await client.post("/v1/memories/notes/infer", json={"prompt": "What is my cat called?"})).json()
        assert known["response"] == CAT
        assert (await client.post(path, json={"memory": "never"})).status_code == 404
        assert (await reader.post(path, json={"memory": "notes"})).status_code == 403


async def test_transcripts_are_in_redis_when_there_is_one(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url:
        house = ChatHouse(tmp_path / "volume", redis_url=url)
        async with house.client() as client:
            session = await opened(client)
            await say(client, session, CAT)
        again = ChatHouse(tmp_path / "volume", redis_url=url)  # another replica
        async with again.client() as stranger:
            assert (await stranger.get(f"/v1/sessions/{session}")).status_code == 404
            stranger.headers = client.headers
            transcript = (await stranger.get(f"/v1/sessions/{session}")).json()["messages"]
            assert [one["content"] for one in transcript] == [CAT, "That is new to me. I have learned it."]
        await again.close()
        await house.close()


async def test_a_session_s_memory_is_small_and_takes_the_whole_step(house: ChatHouse) -> None:
    async with house.client() as client:
        stats = await house.inner.stats(MemoryName(f"~~session~{await opened(client)}"))
        assert (stats.units, stats.learning_rate) == (4096, 1.0)
