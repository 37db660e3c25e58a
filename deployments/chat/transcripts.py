"""Who talks in which session, and what was said: kept for a while and then gone.

``RamTranscripts`` lives in one process (an actor of its own where several ingress replicas share it);
``redis_transcripts`` keeps the same in Redis.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

Role = Literal["user", "assistant"]
MESSAGES_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. ``at``: ISO 8601."""

    role: Role
    content: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation of one key. ``expires_at_s``: seconds since 1970; each turn moves it ``ttl_s`` ahead."""

    session_id: str
    tenant: str
    key_id: str
    created_at: str
    ttl_s: float
    expires_at_s: float


class Transcripts(Protocol):
    """Raises Unavailable when what keeps them cannot be reached."""

    async def open(self, session: Session) -> None:
        """Begin a session; its expiry is as it says."""
        ...

    async def find(self, session_id: str) -> Session | None:
        """The session, or None when it is unknown or its time is over."""
        ...

    async def of(self, tenant: str, key_id: str) -> tuple[Session, ...]:
        """The sessions of one key, oldest first."""
        ...

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """Add turns and begin the session's time anew; nothing happens when it is over."""
        ...

    async def messages(self, session_id: str) -> tuple[Message, ...]:
        """What was said, oldest first."""
        ...

    async def drop(self, session_id: str) -> None:
        """Forget a session; no error when there is none."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class RamTranscripts:
    """Transcripts in this process. ``clock_s`` gives seconds since 1970."""

    def __init__(self, clock_s: Callable[[], float] = time.time) -> None:
        self._clock_s = clock_s
        self._sessions: dict[str, Session] = {}
        self._messages: dict[str, list[Message]] = {}

    async def open(self, session: Session) -> None:
        """See Transcripts."""
        self._sessions[session.session_id] = session
        self._messages[session.session_id] = []

    async def find(self, session_id: str) -> Session | None:
        """See Transcripts."""
        session = self._sessions.get(session_id)
        if session is not None and session.expires_at_s <= self._clock_s():
            await self.drop(session_id)
            return None
        return session

    async def of(self, tenant: str, key_id: str) -> tuple[Session, ...]:
        """See Transcripts."""
        alive = [await self.find(session_id) for session_id in list(self._sessions)]
        own = (one for one in alive if one is not None and (one.tenant, one.key_id) == (tenant, key_id))
        return tuple(sorted(own, key=lambda one: one.created_at))

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """See Transcripts."""
        session = await self.find(session_id)
        if session is None:
            return
        self._sessions[session_id] = replace(session, expires_at_s=self._clock_s() + session.ttl_s)
        said = self._messages[session_id]
        said.extend(messages)
        del said[:-MESSAGES_MAX]

    async def messages(self, session_id: str) -> tuple[Message, ...]:
        """See Transcripts."""
        return tuple(self._messages[session_id]) if await self.find(session_id) is not None else ()

    async def drop(self, session_id: str) -> None:
        """See Transcripts."""
        self._sessions.pop(session_id, None)
        self._messages.pop(session_id, None)

    async def close(self) -> None:
        """See Transcripts."""
