"""What every keeper of transcripts promises: in RAM and in a real Redis, with a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from deployments.chat.redis_transcripts import RedisTranscripts
from deployments.chat.transcripts import MESSAGES_MAX, Message, RamTranscripts, Session, Transcripts
from memory_core.errors import Unavailable
from tests.redis_server import running_redis

NOW_S = 2_000_000_000.0


class Clock:
    """Seconds since 1970, moved by hand."""

    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["ram", "redis"])
async def transcripts(request: Any, clock: Clock) -> AsyncIterator[Transcripts]:
    opened: Transcripts
    if request.param == "ram":
        opened = RamTranscripts(clock)
    else:
        url = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(url) as server:
            server.flushall()
        opened = RedisTranscripts(url, clock)
    yield opened
    await opened.close()


def session(session_id: str, key_id: str = "k1", ttl_s: float = 60.0) -> Session:
    return Session(
        session_id=session_id,
        tenant="default",
        key_id=key_id,
        created_at=f"2033-05-18T03:33:2{len(session_id)}",
        ttl_s=ttl_s,
        expires_at_s=NOW_S + ttl_s,
    )


def said(content: str, role: Any = "user") -> Message:
    return Message(role=role, content=content, at="2033-05-18T03:33:20")


async def test_what_was_said_comes_back_in_order(transcripts: Transcripts) -> None:
    await transcripts.open(session("a"))
    await transcripts.append("a", [said("Hello."), said("Good day.", "assistant")])
    await transcripts.append("a", [said("Grüße <b>📦</b>")])
    assert [one.content for one in await transcripts.messages("a")] == ["Hello.", "Good day.", "Grüße <b>📦</b>"]
    assert (await transcripts.messages("a"))[1].role == "assistant"


async def test_a_session_is_gone_when_its_time_is_over_and_every_turn_begins_it_anew(
    transcripts: Transcripts, clock: Clock
) -> None:
    await transcripts.open(session("a"))
    clock.now_s += 59
    await transcripts.append("a", [said("Still here.")])
    clock.now_s += 59
    found = await transcripts.find("a")
    assert found is not None
    assert found.expires_at_s == clock.now_s + 1
    clock.now_s += 1
    assert await transcripts.find("a") is None
    assert await transcripts.messages("a") == ()
    assert await transcripts.of("default", "k1") == ()
    await transcripts.append("a", [said("Too late.")])
    assert await transcripts.find("a") is None


async def test_a_key_sees_its_own_sessions_oldest_first(transcripts: Transcripts) -> None:
    await transcripts.open(session("a"))
    await transcripts.open(session("bb", key_id="k2"))
    await transcripts.open(session("ccc"))
    assert [one.session_id for one in await transcripts.of("default", "k1")] == ["a", "ccc"]
    await transcripts.drop("a")
    await transcripts.drop("never")
    assert [one.session_id for one in await transcripts.of("default", "k1")] == ["ccc"]
    assert await transcripts.of("other", "k1") == ()


async def test_a_transcript_is_bounded_and_keeps_what_came_last(transcripts: Transcripts) -> None:
    await transcripts.open(session("a"))
    for number in range(MESSAGES_MAX // 4 + 2):
        await transcripts.append("a", [said(f"{number}.{part}") for part in range(4)])
    kept = [one.content for one in await transcripts.messages("a")]
    assert (len(kept), kept[0], kept[-1]) == (MESSAGES_MAX, "2.0", f"{MESSAGES_MAX // 4 + 1}.3")


async def test_redis_holds_one_hash_of_json_per_session_and_forgets_it_by_itself(redis_url: str) -> None:
    keeper = RedisTranscripts(redis_url, Clock())
    with redis.Redis.from_url(redis_url, decode_responses=True) as server:
        server.flushall()
        await keeper.open(session("a", ttl_s=60.0))
        await keeper.append("a", [said("Hello.")])
        fields: dict[str, str] = server.hgetall("neural-memory:session:a")  # type: ignore[assignment]
        assert json.loads(fields["message:00000001"])["content"] == "Hello."
        assert 50_000 < server.pttl("neural-memory:session:a") <= 60_000  # type: ignore[operator]
        assert 50_000 < server.pttl("neural-memory:sessions:default:k1") <= 60_000  # type: ignore[operator]
    await keeper.close()


async def test_a_redis_that_is_gone_is_unavailable_not_a_bug() -> None:
    keeper = RedisTranscripts("redis://127.0.0.1:1/0")
    with pytest.raises(Unavailable) as raised:
        await keeper.find("a")
    assert raised.value.code == "SESSIONS_UNAVAILABLE"
    await keeper.close()
