"""Which stored things lead where: blobs that a manifest names, and published versions that hold a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from memory_core.errors import CorruptData, NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.patterns.exemplars import unpack_exemplars
from memory_core.results import Exemplar
from memory_core.storage import keys
from memory_core.storage.blobs import get_group
from memory_core.storage.catalog import PAGE_LIMIT_MAX, Catalog
from memory_core.storage.documents import read_document
from memory_core.storage.manifest import Checkpoint, Head, Snapshot
from memory_core.storage.object_store import ObjectStore


def blobs_of_head(store: ObjectStore, key: str) -> set[str]:
    """Keys of the shared blobs that one head names; none when it is gone."""
    try:
        return _shared(read_document(store, key, "head", Head.from_dict).snapshot)
    except NotFound:
        return set()


def reached_blobs(store: ObjectStore, without: frozenset[str] = frozenset()) -> set[str]:
    """Keys of the shared blobs that any manifest of the volume names, ``without`` some. Reads every manifest."""
    listed = [item.key for item in store.list_objects(keys.MEMORIES) if item.key not in without]
    return {blob for key in listed for blob in shared_blobs(store, key)}


def versions_holding(store: ObjectStore, name: MemoryName, is_held: Callable[[Exemplar], bool]) -> tuple[Tag, ...]:
    """Published versions of a memory with an exemplar of that kind, or too damaged to tell."""
    listed = store.list_objects(keys.checkpoints(Catalog(store).find(name).uid))
    return tuple(Tag(keys.last_part(item.key)) for item in listed if _holds(store, item.key, is_held))


def forks_of(store: ObjectStore, name: MemoryName, tags: frozenset[Tag]) -> tuple[MemoryName, ...]:
    """Memories whose line of parents leads to one of these versions of a memory."""
    parent_of = dict(_parents(store))
    origins = {f"{name}@{tag}" for tag in tags}
    return tuple(child for child in parent_of if _descends(child, parent_of, origins))


def shared_blobs(store: ObjectStore, key: str) -> set[str]:
    """Keys of the shared blobs that an object of a memory names, if it is a manifest; none when it is gone."""
    kind = key.split("/")[2]
    if kind == "heads":
        return blobs_of_head(store, key)
    if kind != "checkpoints":
        return set()
    try:
        return _shared(read_document(store, key, "checkpoint", Checkpoint.from_dict).snapshot)
    except NotFound:
        return set()


def _shared(snapshot: Snapshot) -> set[str]:
    return {ref.key for ref in (snapshot.blobs or {}).values() if ref.is_shared}


def _holds(store: ObjectStore, key: str, is_held: Callable[[Exemplar], bool]) -> bool:
    try:
        snapshot = read_document(store, key, "checkpoint", Checkpoint.from_dict).snapshot
        if snapshot.blobs is None:
            return False
        packed = get_group(store, snapshot.blobs["exemplars"])["json_lines"]
        return any(is_held(item) for slot in unpack_exemplars(packed, snapshot.pattern_count) for item in slot)
    except NotFound:
        return False
    except (CorruptData, KeyError):
        return True


def _parents(store: ObjectStore) -> Iterator[tuple[MemoryName, str]]:
    catalog, cursor = Catalog(store), None
    while True:
        page = catalog.list_memories(PAGE_LIMIT_MAX, cursor)
        yield from ((info.name, info.parent) for info in page.memories if info.parent is not None)
        cursor = page.next_cursor
        if cursor is None:
            return


def _descends(child: MemoryName, parent_of: dict[MemoryName, str], origins: set[str]) -> bool:
    seen: set[str] = set()
    parent = parent_of.get(child)
    while parent is not None and parent not in seen:
        if parent in origins:
            return True
        seen.add(parent)
        parent = parent_of.get(MemoryName(parent.partition("@")[0]))
    return False
