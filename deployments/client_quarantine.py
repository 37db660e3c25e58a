"""The part of the typed client that is about observations of sources that are not trusted. See ``client``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

from deployments.access.quarantine import Choice, Settled
from deployments.http_quarantine import RemoteQuarantine
from memory_core.ids import parse_memory_name
from memory_core.results import Exemplar

_PAGE: Final = 200
_T = TypeVar("_T")


class AsyncQuarantine:
    """What waits beside a memory until somebody lets it in or throws it away."""

    _remote: RemoteQuarantine

    async def waiting(self, memory: str) -> AsyncIterator[Exemplar]:
        """Observations that wait, in order, page by page."""
        cursor: str | None = None
        while True:
            page = await self._remote.waiting(parse_memory_name(memory), limit=_PAGE, cursor=cursor)
            for one in page.observations:
                yield one
            cursor = page.next_cursor
            if cursor is None:
                return

    async def release(self, memory: str, *, seqs: Sequence[int] = (), source: str | None = None) -> Settled:
        """Let observations in, those at these positions and of this source; all when neither is given."""
        return await self._remote.release(parse_memory_name(memory), Choice(seqs=tuple(seqs), source=source))

    async def discard(self, memory: str, *, seqs: Sequence[int] = (), source: str | None = None) -> Settled:
        """Throw observations away, chosen as for ``release``. This cannot be undone."""
        return await self._remote.discard(parse_memory_name(memory), Choice(seqs=tuple(seqs), source=source))


class Quarantine:
    """As AsyncQuarantine, for code without asyncio."""

    _client: AsyncQuarantine

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for work on the client's loop."""
        raise NotImplementedError

    def waiting(self, memory: str) -> Iterator[Exemplar]:
        """See AsyncQuarantine."""
        return iter(self._do(_all(self._client.waiting(memory))))

    def release(self, memory: str, *, seqs: Sequence[int] = (), source: str | None = None) -> Settled:
        """See AsyncQuarantine."""
        return self._do(self._client.release(memory, seqs=seqs, source=source))

    def discard(self, memory: str, *, seqs: Sequence[int] = (), source: str | None = None) -> Settled:
        """See AsyncQuarantine."""
        return self._do(self._client.discard(memory, seqs=seqs, source=source))


async def _all(found: AsyncIterator[Exemplar]) -> list[Exemplar]:
    return [one async for one in found]
