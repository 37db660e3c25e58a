"""Published versions, read from storage alone: find, list newest first, fork."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from memory_core.errors import NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.results import CheckpointPage, ForkResult
from memory_core.storage import keys
from memory_core.storage.catalog import Catalog
from memory_core.storage.documents import read_document
from memory_core.storage.lineage import branched
from memory_core.storage.manifest import Checkpoint, Snapshot
from memory_core.storage.object_store import ListedObject, ObjectStore
from memory_core.storage.pins import Pin, pin

PAGE_LIMIT_MAX: Final = 1000
_CACHE_SIZE: Final = 10_000


class CheckpointShelf:
    """The checkpoints of all memories of a volume. Thread-safe; manifests never change, so each is read once."""

    def __init__(self, store: ObjectStore, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._lock = threading.Lock()
        self._manifests: dict[ListedObject, Checkpoint] = {}

    def find(self, name: MemoryName, tag: Tag) -> Checkpoint:
        """The checkpoint under a tag; NotFound (MEMORY_NOT_FOUND or CHECKPOINT_NOT_FOUND)."""
        uid = self._catalog.find(name).uid
        try:
            return read_document(self._store, keys.checkpoint(uid, tag), "checkpoint", Checkpoint.from_dict)
        except NotFound as error:
            raise _checkpoint_not_found(name, tag) from error

    def tags(self, name: MemoryName) -> tuple[Tag, ...]:
        """All tags in name order, from one listing."""
        uid = self._catalog.find(name).uid
        return tuple(sorted(Tag(keys.last_part(item.key)) for item in self._store.list_objects(keys.checkpoints(uid))))

    def list_page(
        self, name: MemoryName, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """A page, newest first; ``cursor`` is the position of the last line of the page before."""
        found = self.newest_first(name, prefix)
        rest = [item for item in found if cursor is None or _position(item) < cursor]
        page = rest[: max(1, min(limit, PAGE_LIMIT_MAX))]
        return CheckpointPage(
            checkpoints=tuple(item.to_info() for item in page),
            next_cursor=_position(page[-1]) if len(page) < len(rest) else None,
        )

    def newest_first(self, name: MemoryName, prefix: str = "") -> list[Checkpoint]:
        """All checkpoints whose tag begins with ``prefix``."""
        uid = self._catalog.find(name).uid
        listed = self._store.list_objects(keys.checkpoints(uid) + prefix)
        found = [item for raw in listed if (item := self._read_listed(raw)) is not None and item.tag.startswith(prefix)]
        return sorted(found, key=_position, reverse=True)

    def delete(self, name: MemoryName, tag: Tag, *, must_exist: bool = True) -> None:
        """Unpublish a version; NotFound unless it is there."""
        key = keys.checkpoint(self._catalog.find(name).uid, tag)
        if must_exist and not self._store.exists(key):
            raise _checkpoint_not_found(name, tag)
        self._store.delete(key)

    @contextmanager
    def holding(self, snapshot: Snapshot) -> Iterator[Pin]:
        """Keep the blobs of a snapshot while a manifest that names them is made."""
        made = pin(self._store, [ref.key for ref in (snapshot.blobs or {}).values()])
        try:
            yield made
        finally:
            made.release()

    def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName, created_at: str) -> ForkResult:
        """A new memory that starts from a checkpoint and names its blobs; Conflict when the new name is taken."""
        with self.holding(self.find(name, tag).snapshot):
            source = self.find(name, tag)
            # A branch of its own: from here on its positions are not those of its parent.
            snapshot = replace(source.snapshot, lineage=branched(source.snapshot.lineage, uuid.uuid4().hex[:12]))
            self._catalog.create(new_name, source.config, snapshot, created_at, parent=f"{name}@{tag}")
        return ForkResult(memory=new_name, parent=name, parent_tag=tag, weight_hash=source.snapshot.weight_hash)

    def _read_listed(self, item: ListedObject) -> Checkpoint | None:
        with self._lock:
            known = self._manifests.get(item)
        if known is not None:
            return known
        try:
            manifest = read_document(self._store, item.key, "checkpoint", Checkpoint.from_dict)
        except NotFound:
            return None
        with self._lock:
            if len(self._manifests) >= _CACHE_SIZE:
                self._manifests.clear()
            self._manifests[item] = manifest
        return manifest


def _position(item: Checkpoint) -> str:
    """Greater means newer, whatever the clock said."""
    return f"{item.epoch:010d}-{item.number:010d}"


def _checkpoint_not_found(name: MemoryName, tag: Tag) -> NotFound:
    return NotFound(
        f"Memory {name} has no checkpoint {tag}.",
        code="CHECKPOINT_NOT_FOUND",
        hint="List its checkpoints.",
        memory=name,
        tag=tag,
    )
