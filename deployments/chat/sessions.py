"""Sessions: a small memory and a transcript for one conversation, both gone when its time is over.

The memory of a session has a stored name that no caller can say, so it is reached through its session alone, and the
session by the key that opened it alone. Where all visitors of a page have one key, a session is reached by whoever
knows its id, which nothing tells. What is worth keeping is promoted into a long-term memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deployments.access.principal import Principal, caller
from deployments.chat.transcripts import Message, Session, Transcripts
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.errors import InvalidInput, NeuralMemoryError, NotFound, Overloaded
from memory_core.ids import MemoryName, Tag

TTL_MAX_S: Final = 30 * 86_400.0
SESSIONS_MAX: Final = 256
SETTINGS: Final = {"units": 4096, "rows": 4096, "learning_rate": 1.0}
"""Of a session's memory: small, and with the whole step size."""
_STORED: Final = "~~session~"  # no tenant and no memory name begins so
_PAGE: Final = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a long-term memory learned from a session."""

    session_id: str
    memory: MemoryName
    texts_merged: int
    texts_known: int
    observation_count: int


class Sessions:
    """The sessions of everybody; each method works for ``principal.caller()``.

    inner: the memories by their stored names. config: makes the settings of a session's memory. visitor_keys: ids of
    keys that everybody has who opens the page.
    """

    def __init__(
        self,
        inner: MemoryBackend,
        transcripts: Transcripts,
        config: Callable[[], Awaitable[MemoryConfig]],
        *,
        ttl_s: float,
        clock_s: Callable[[], float] = time.time,
        visitor_keys: frozenset[str] = frozenset(),
    ) -> None:
        self._inner = inner
        self._transcripts = transcripts
        self._config = config
        self._ttl_s = ttl_s
        self._clock_s = clock_s
        self._visitor_keys = visitor_keys

    async def open(self, ttl_s: float | None = None) -> Session:
        """Begin a session; each turn gives it ``ttl_s`` more."""
        who = caller()
        who.require("infer")
        await self._make_room(who)
        ttl_s = self._ttl_s if ttl_s is None else ttl_s
        if not 0 < ttl_s <= TTL_MAX_S:
            raise InvalidInput(f"ttl_s must be above 0 and at most {TTL_MAX_S:.0f}.", hint="For example 3600.")
        now_s = self._clock_s()
        session = Session(
            session_id=uuid.uuid4().hex,
            tenant=who.tenant,
            key_id=who.key_id,
            created_at=datetime.fromtimestamp(now_s, UTC).isoformat(),
            ttl_s=ttl_s,
            expires_at_s=now_s + ttl_s,
        )
        config = await self._config()
        # Before its memory: a memory without a session is swept away.
        await self._transcripts.open(session)
        await self._inner.create(stored_name(session), config)
        return session

    async def find(self, session_id: str) -> Session:
        """A session of the caller; NotFound for all others, as if they did not exist."""
        who = caller()
        session = await self._transcripts.find(session_id)
        if session is None or not _is_of(session, who):
            raise NotFound(
                "There is no such session, or its time is over.",
                code="SESSION_NOT_FOUND",
                hint="Open one: POST /v1/sessions",
            )
        return session

    async def mine(self) -> tuple[Session, ...]:
        """The sessions of the caller's key; none of a key that visitors share, so that they do not see each other's."""
        who = caller()
        if who.key_id in self._visitor_keys:
            return ()
        return await self._transcripts.of(who.tenant, who.key_id)

    async def messages(self, session: Session) -> tuple[Message, ...]:
        """What was said in a session."""
        return await self._transcripts.messages(session.session_id)

    async def say(self, session: Session, *messages: Message) -> None:
        """Add turns to a session."""
        await self._transcripts.append(session.session_id, messages)

    async def end(self, session_id: str) -> None:
        """Delete a session of the caller with its memory and transcript."""
        session = await self.find(session_id)
        await self._transcripts.drop(session_id)
        await self._inner.delete(stored_name(session))

    async def promote(self, session_id: str, memory: MemoryName) -> Promotion:
        """Consolidate a session's memory and let a long-term one learn what it knows. Repeating learns nothing twice.

        The session stays. NotFound, ReadOnly, Forbidden, Conflict (ENCODER_MISMATCH).
        """
        who = caller()
        who.require("observe")
        target, session = who.stored(memory), await self.find(session_id)
        source = stored_name(session)
        await self._inner.stats(target)
        await self._inner.consolidate(source)
        tag = Tag(f"promoted-{uuid.uuid4().hex[:12]}")
        await self._inner.checkpoint(source, tag)
        merged = await self._inner.merge(target, source, tag=tag)
        return Promotion(
            session_id=session_id,
            memory=memory,
            texts_merged=merged.texts_merged,
            texts_known=merged.texts_known,
            observation_count=merged.observation_count,
        )

    async def sweep(self) -> int:
        """Delete the memories of sessions that are over; says how many."""
        swept = 0
        cursor: str | None = _STORED
        while cursor is not None:
            page = await self._inner.list_memories(limit=_PAGE, cursor=cursor)
            names = [info.name for info in page.memories if info.name.startswith(_STORED)]
            for name in names:
                if await self._transcripts.find(name.removeprefix(_STORED)) is None:
                    await self._inner.delete(name)
                    swept += 1
            cursor = page.next_cursor if len(names) == len(page.memories) else None
        return swept

    async def sweep_forever(self, period_s: float) -> None:
        """Sweep again and again. What fails now is tried again the next time."""
        while True:
            await asyncio.sleep(period_s)
            try:
                await self.sweep()
            except NeuralMemoryError as error:
                _log.warning("Sessions that are over were not all swept (%s).", error.code)

    async def close(self) -> None:
        """Release connections."""
        await self._transcripts.close()

    async def _make_room(self, who: Principal) -> None:
        """Overloaded when a key has as many sessions as it may; of visitors the one that was silent longest ends."""
        own = await self._transcripts.of(who.tenant, who.key_id)
        if len(own) < SESSIONS_MAX:
            return
        if who.key_id not in self._visitor_keys:
            raise Overloaded(
                f"This key has {SESSIONS_MAX} sessions.",
                code="QUOTA_EXCEEDED",
                hint="End some, or wait until they are over.",
                retry_after_s=60.0,
            )
        with suppress(NotFound):  # another visitor ended it
            await self.end(min(own, key=lambda one: one.expires_at_s - one.ttl_s).session_id)


def stored_name(session: Session) -> MemoryName:
    """The memory of a session, on the volume."""
    return MemoryName(_STORED + session.session_id)


def _is_of(session: Session, who: Principal) -> bool:
    return (session.tenant, session.key_id) == (who.tenant, who.key_id)
