"""The memories of a volume: which names exist, what they mean, how they come and go.

``names/<name>`` is the one authority. Creation makes everything under a fresh uid first and publishes the name last;
deletion removes the name first. A crash between leaves objects that no name reaches.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from memory_core.config import MemoryConfig
from memory_core.errors import Conflict, Fenced, NeuralMemoryError, NotFound, Unavailable
from memory_core.ids import Epoch, MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import MemoryInfo, MemoryPage
from memory_core.storage import epochs, keys
from memory_core.storage.documents import create_document, read_document
from memory_core.storage.lines import Line, line_key, lines_after
from memory_core.storage.manifest import Head, Snapshot
from memory_core.storage.object_store import ObjectStore

PAGE_LIMIT_MAX: Final = 1000
# Far below the age at which a garbage collection takes what has no name for the remains of a crash.
_CREATE_MAX_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """What a name means now."""

    uid: str
    info: MemoryInfo

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"uid": self.uid, "info": asdict(self.info)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> MemoryEntry:
        """Rebuild from ``to_dict``."""
        info = {**raw["info"], "placement": PlacementSpec.from_dict(raw["info"].get("placement") or {})}
        return cls(uid=raw["uid"], info=MemoryInfo(**info))


class Catalog:
    """Names of one volume. Thread-safe."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def find(self, name: MemoryName) -> MemoryEntry:
        """What the name means; NotFound (MEMORY_NOT_FOUND) when nothing."""
        try:
            return read_document(self._store, keys.name(name), "memory", MemoryEntry.from_dict)
        except NotFound as error:
            raise memory_not_found(name) from error

    def require_free(self, name: MemoryName) -> None:
        """Conflict (MEMORY_EXISTS) when the name is taken now."""
        if self._store.exists(keys.name(name)):
            raise _memory_exists(name)

    def create(
        self,
        name: MemoryName,
        config: MemoryConfig,
        snapshot: Snapshot,
        created_at: str,
        *,
        parent: str | None = None,
        prepare: Callable[[str], None] = lambda uid: None,
    ) -> MemoryInfo:
        """Publish a memory that starts from a snapshot of shared blobs; Conflict (MEMORY_EXISTS) when taken.

        ``prepare`` is called with its uid before anybody can find it.
        """
        self.require_free(name)
        uid = uuid.uuid4().hex
        info = MemoryInfo(
            name=name,
            encoder=config.encoder,
            variant=config.variant,
            units=config.units,
            key_dim=config.key_dim,
            created_at=created_at,
            parent=parent,
            placement=config.placement,
        )
        started_at_s = time.monotonic()
        self._write_first_head(uid, config, snapshot, created_at, parent)
        prepare(uid)
        if time.monotonic() - started_at_s > _CREATE_MAX_S:
            self._delete_all(uid)
            raise Unavailable("Creating the memory took too long.", hint="Repeat the request.")
        self._store.put(line_key(uid, info), b"")
        if not create_document(self._store, keys.name(name), "memory", MemoryEntry(uid, info).to_dict()):
            self._store.delete(line_key(uid, info))
            self._delete_all(uid)
            raise _memory_exists(name)
        return info

    def list_memories(self, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """A page in name order; ``cursor`` is the last name of the page before. Two listings, whatever is on it."""
        wanted = max(1, min(limit, PAGE_LIMIT_MAX))
        listed = self._store.list_objects(keys.NAMES, start_after=keys.NAMES + (cursor or ""), limit=wanted + 1)
        names = [MemoryName(item.key.removeprefix(keys.NAMES)) for item in listed[:wanted]]
        known = lines_after(self._store, cursor, wanted + 1)
        found = [self._entry(name, known.get(name, [])) for name in names]
        is_last = len(listed) <= wanted
        return MemoryPage(
            memories=tuple(entry.info for entry in found if entry is not None),
            next_cursor=None if is_last else names[-1],
        )

    def delete(self, name: MemoryName, *, last_epoch: Epoch | None = None) -> None:
        """Fence the writer, unpublish the name, remove all that is the memory's own. Shared blobs stay.

        ``last_epoch``: of the writer that asks for it; Fenced when another one claimed the memory since.
        """
        entry = self.find(name)
        claimed = epochs.claim(self._store, entry.uid)
        if last_epoch is not None and claimed != last_epoch + 1:
            raise Fenced("Another process took over this memory.", hint="Repeat the request.")
        self._store.delete(keys.name(name))
        self._store.delete(line_key(entry.uid, entry.info))
        self._delete_all(entry.uid)

    def _write_first_head(
        self, uid: str, config: MemoryConfig, snapshot: Snapshot, created_at: str, parent: str | None
    ) -> None:
        epoch = epochs.first_claim(self._store, uid)
        head = Head(
            epoch=epoch,
            number=1,
            config=config,
            created_at=created_at,
            parent=parent,
            snapshot=snapshot,
            runs=(),
        )
        create_document(self._store, keys.head(uid, Epoch(0), 1), "head", head.to_dict())

    def _entry(self, name: MemoryName, found: list[Line]) -> MemoryEntry | None:
        """What a listed name means: its line says so, and where there is not just one, the name itself."""
        if len(found) == 1 and found[0].info is not None:
            return MemoryEntry(found[0].uid, found[0].info)
        try:
            entry = self.find(name)
        except NotFound:
            return None
        self._mend(entry, found)
        return entry

    def _mend(self, entry: MemoryEntry, found: list[Line]) -> None:
        """Leave the one line that a name should have; a volume that cannot be written stays as it is."""
        right = line_key(entry.uid, entry.info)
        with contextlib.suppress(Unavailable):
            for line in found:
                if line.key != right:
                    self._store.delete(line.key)
            if right not in {line.key for line in found}:
                self._store.put(right, b"")

    def _delete_all(self, uid: str) -> None:
        """Claims go last: until then they fence."""
        listed = [item.key for item in self._store.list_objects(keys.memory(uid))]
        claims = keys.epochs(uid)
        for key in sorted(listed, key=lambda key: key.startswith(claims)):
            self._store.delete(key)


def memory_not_found(name: MemoryName) -> NeuralMemoryError:
    """The error of every use of a name that means nothing."""
    return NotFound(
        f"There is no memory named {name}.",
        code="MEMORY_NOT_FOUND",
        hint="List the memories, or create this one.",
        memory=name,
    )


def _memory_exists(name: MemoryName) -> Conflict:
    return Conflict(
        f"A memory named {name} exists already.",
        code="MEMORY_EXISTS",
        hint="Choose another name, or delete that memory first.",
        memory=name,
    )
