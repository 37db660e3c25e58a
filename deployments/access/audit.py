"""Who destroyed what, and when: one document per call on the volume, and a line in the log. Never content."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from memory_core.storage.documents import create_document, read_document
from memory_core.storage.object_store import ObjectStore

_FOLDER: Final = "access/audit/"
_KIND: Final = "audit"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A destructive call: ``outcome`` is ``asked`` or, once it is over, ``done`` or the code of its error."""

    at: str
    call: str
    tenant: str
    key_id: str
    action: str
    memory: str
    outcome: str

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> AuditEntry:
        """Rebuild from JSON; other fields are left out."""
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})


class AuditTrail:
    """Writes entries on the volume of ``store``. A call that cannot be written down must not happen."""

    def __init__(self, store: ObjectStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock

    async def record(self, *, call: str, tenant: str, key_id: str, action: str, memory: str, outcome: str) -> None:
        """Write one entry; durable when it returns."""
        at = self._clock().isoformat()
        entry = AuditEntry(
            at=at, call=call, tenant=tenant, key_id=key_id, action=action, memory=memory, outcome=outcome
        )
        _log.warning("audit %s %s %s by %s of %s: %s", call, action, memory, key_id, tenant, outcome)
        key = f"{_FOLDER}{at}-{uuid.uuid4().hex}"
        await asyncio.to_thread(create_document, self._store, key, _KIND, asdict(entry))

    def entries(self, since: str = "") -> list[AuditEntry]:
        """Entries in order of time, from an ISO 8601 time on. Blocks."""
        listed = self._store.list_objects(_FOLDER, start_after=_FOLDER + since)
        return [read_document(self._store, item.key, _KIND, AuditEntry.from_dict) for item in listed]
