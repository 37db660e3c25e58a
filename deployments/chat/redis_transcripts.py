"""Transcripts in Redis: one hash per session, which Redis itself forgets when its time is over.

neural-memory:session:ID     field "session": JSON; "count"; "message:00000001" ...: JSON of each turn
neural-memory:sessions:T:K   set of the ids of one key
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from deployments.chat.transcripts import MESSAGES_MAX, Message, Session
from memory_core.errors import Unavailable

_PREFIX: Final = "neural-memory:session"
_SESSION: Final = "session"
_COUNT: Final = "count"
_MESSAGE: Final = "message:"
_TIMEOUT_S: Final = 5.0


class RedisTranscripts:
    """See Transcripts. ``url``: ``redis://host:port/db``."""

    def __init__(self, url: str, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._redis: Any = redis.asyncio.Redis.from_url(
            url, decode_responses=True, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        )

    async def open(self, session: Session) -> None:
        """See Transcripts."""
        key, own = _key(session.session_id), _own(session.tenant, session.key_id)
        left_ms = _milliseconds(session.expires_at_s - self._clock_s())
        async with _reached(), self._redis.pipeline(transaction=True) as work:
            work.hset(key, mapping={_SESSION: json.dumps(asdict(session)), _COUNT: 0})
            work.pexpire(key, left_ms)
            work.sadd(own, session.session_id)
            work.pexpire(own, left_ms, gt=True)
            work.pexpire(own, left_ms, nx=True)
            await work.execute()

    async def find(self, session_id: str) -> Session | None:
        """See Transcripts."""
        async with _reached():
            raw = await self._redis.hget(_key(session_id), _SESSION)
        session = None if raw is None else Session(**json.loads(raw))
        return session if session is not None and session.expires_at_s > self._clock_s() else None

    async def of(self, tenant: str, key_id: str) -> tuple[Session, ...]:
        """See Transcripts."""
        async with _reached():
            ids = await self._redis.smembers(_own(tenant, key_id))
            found = {session_id: await self.find(session_id) for session_id in sorted(ids)}
            gone = [session_id for session_id, session in found.items() if session is None]
            if gone:
                await self._redis.srem(_own(tenant, key_id), *gone)
        alive = (session for session in found.values() if session is not None)
        return tuple(sorted(alive, key=lambda one: one.created_at))

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """See Transcripts."""
        session = await self.find(session_id)
        if session is None:
            return
        key, own = _key(session_id), _own(session.tenant, session.key_id)
        session = replace(session, expires_at_s=self._clock_s() + session.ttl_s)
        left_ms = _milliseconds(session.ttl_s)
        async with _reached():
            last = await self._redis.hincrby(key, _COUNT, len(messages))
            first = last - len(messages) + 1
            said = {_field(first + place): json.dumps(asdict(one)) for place, one in enumerate(messages)}
            async with self._redis.pipeline(transaction=True) as work:
                work.hset(key, mapping={_SESSION: json.dumps(asdict(session)), **said})
                work.hdel(key, *(_field(old) for old in range(first - MESSAGES_MAX, last - MESSAGES_MAX + 1)))
                work.pexpire(key, left_ms)
                work.pexpire(own, left_ms, gt=True)
                await work.execute()

    async def messages(self, session_id: str) -> tuple[Message, ...]:
        """See Transcripts."""
        if await self.find(session_id) is None:
            return ()
        async with _reached():
            fields = await self._redis.hgetall(_key(session_id))
        return tuple(Message(**json.loads(fields[name])) for name in sorted(fields) if name.startswith(_MESSAGE))

    async def drop(self, session_id: str) -> None:
        """See Transcripts."""
        async with _reached():
            await self._redis.delete(_key(session_id))

    async def close(self) -> None:
        """See Transcripts."""
        await self._redis.aclose()


@asynccontextmanager
async def _reached() -> AsyncIterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable(
            f"Redis, which keeps the sessions, did not answer ({type(error).__name__}).",
            code="SESSIONS_UNAVAILABLE",
            hint="Look at REDIS_URL and at that server, then try again.",
            retry_after_s=1.0,
        ) from None


def _key(session_id: str) -> str:
    return f"{_PREFIX}:{session_id}"


def _own(tenant: str, key_id: str) -> str:
    return f"{_PREFIX}s:{tenant}:{key_id}"


def _field(number: int) -> str:
    return f"{_MESSAGE}{number:08d}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(1000 * seconds))
