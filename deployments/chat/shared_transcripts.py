"""Transcripts of all ingress replicas without Redis: in one actor of the cluster, and gone when it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cluster.owners import Call, Owners, OwnerSpec
from cluster.packed import Packed
from deployments.chat.transcripts import Message, RamTranscripts, Session

_CALL_DEADLINE_S: Final = 30.0


class TranscriptsActor(RamTranscripts, Packed):
    """The transcripts of all replicas."""


_ACTOR: Final = OwnerSpec("transcripts", TranscriptsActor, ())


class SharedTranscripts:
    """See Transcripts."""

    def __init__(self) -> None:
        self._owners = Owners(_CALL_DEADLINE_S)

    async def open(self, session: Session) -> None:
        """See Transcripts."""
        await self._ask("open", session)

    async def find(self, session_id: str) -> Session | None:
        """See Transcripts."""
        found: Session | None = await self._ask("find", session_id)
        return found

    async def of(self, tenant: str, key_id: str) -> tuple[Session, ...]:
        """See Transcripts."""
        found: tuple[Session, ...] = await self._ask("of", tenant, key_id)
        return found

    async def append(self, session_id: str, messages: Sequence[Message]) -> None:
        """See Transcripts."""
        await self._ask("append", session_id, messages)

    async def messages(self, session_id: str) -> tuple[Message, ...]:
        """See Transcripts."""
        found: tuple[Message, ...] = await self._ask("messages", session_id)
        return found

    async def drop(self, session_id: str) -> None:
        """See Transcripts."""
        await self._ask("drop", session_id)

    async def close(self) -> None:
        """See Transcripts. The actor belongs to the cluster."""

    async def _ask(self, method: str, *arguments: Any) -> Any:
        return await self._owners.call(_ACTOR, Call(method, arguments))
