"""What anybody may read of one memory's objects, its owner or not."""

from __future__ import annotations

from collections.abc import Iterator

from memory_core.errors import CorruptData, Fenced
from memory_core.ids import MemoryName
from memory_core.storage import epochs, keys
from memory_core.storage.blobs import BlobRef, get_bytes
from memory_core.storage.documents import read_document
from memory_core.storage.journal import Cursor, read_on, read_run
from memory_core.storage.manifest import Head
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.records import JournalRecord


class MemoryView:
    """The objects of a memory. Writes nothing."""

    def __init__(self, store: ObjectStore, name: MemoryName, uid: str) -> None:
        self.store = store
        self.name = name
        self.uid = uid

    def newest_head_key(self) -> str:
        """CorruptData when there is no head."""
        listed = self.store.list_objects(keys.heads(self.uid))
        if not listed:
            raise CorruptData(f"Memory {self.name} has no head.", hint="Restore its objects from a backup.")
        return listed[-1].key

    def read_head(self, key: str) -> Head:
        """NotFound when it was pruned since it was listed."""
        return read_document(self.store, key, "head", Head.from_dict)

    def is_newest(self, head: Head) -> bool:
        """True when nobody claimed the memory since the head's writer, and that one published no other head."""
        try:
            epochs.require_newest(self.store, self.uid, head.epoch)
        except Fenced:
            return False
        return self.newest_head_key() == keys.head(self.uid, head.epoch, head.number)

    def journal_after(self, head: Head) -> Iterator[list[JournalRecord]]:
        """All records that follow the head, in their groups and in order. A closed run left empty is skipped."""
        for run in head.runs:
            yield from read_run(self.store, self.uid, run)

    def journal_on(self, head: Head, cursor: Cursor | None) -> Iterator[tuple[list[JournalRecord], Cursor]]:
        """What of ``journal_after`` lies behind a cursor, each group with the cursor behind it."""
        for run in head.runs:
            start = Cursor.at_start(run)
            if cursor is not None and cursor.epoch > run.epoch:
                continue
            yield from read_on(self.store, self.uid, run, start if cursor is None else max(start, cursor))

    def journal_until(
        self, head: Head, later: Head, cursor: Cursor | None
    ) -> Iterator[tuple[list[JournalRecord], Cursor]]:
        """What of ``journal_on`` came before a later head of the same epoch."""
        *_, run = head.runs
        start = Cursor.at_start(run)
        from_here = start if cursor is None else max(start, cursor)
        yield from read_on(self.store, self.uid, run, from_here, later.runs[-1].first_segment)

    def read_bytes(self, ref: BlobRef) -> bytes:
        """Checked bytes of a blob."""
        return get_bytes(self.store, ref)
