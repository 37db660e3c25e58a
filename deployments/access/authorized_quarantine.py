"""What waits, for whoever calls: admins of the memory's tenant settle it, and whoever may read sees it."""

from __future__ import annotations

from deployments.access.acting import audited, shown, with_scope
from deployments.access.audit import AuditTrail
from deployments.access.quarantine import Choice, Quarantine, Settled, Waiting
from memory_core.ids import MemoryName


class AuthorizedQuarantine:
    """As Quarantine, in the names of the caller's tenant. A caller who is not trusted settles nothing."""

    def __init__(self, inner: Quarantine, audit: AuditTrail | None = None) -> None:
        self._inner = inner
        self._audit = audit

    async def waiting(self, name: MemoryName, *, limit: int, cursor: str | None) -> Waiting:
        """See Quarantine."""
        who = with_scope("admin")
        return await shown(who, self._inner.waiting(who.stored(name), limit=limit, cursor=cursor))

    async def release(self, name: MemoryName, choice: Choice) -> Settled:
        """See Quarantine."""
        who = with_scope("admin")
        who.require_trust()
        async with audited(self._audit, who, "release", name):
            return await shown(who, self._inner.release(who.stored(name), choice))

    async def discard(self, name: MemoryName, choice: Choice) -> Settled:
        """See Quarantine."""
        who = with_scope("admin")
        who.require_trust()
        async with audited(self._audit, who, "discard", name):
            return await shown(who, self._inner.discard(who.stored(name), choice))
