"""Deleting what nothing reaches: blobs, remains of memories that have no name, leftovers of crashes.

``pins`` says why a blob that somebody is about to name is safe. Beside that, only what has lain for a grace period is
looked at, and whoever reads a manifest that is damaged deletes nothing: what it names cannot be known.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from memory_core.errors import NotFound
from memory_core.storage import keys
from memory_core.storage.catalog import MemoryEntry
from memory_core.storage.documents import read_document
from memory_core.storage.lines import name_of_line
from memory_core.storage.object_store import ListedObject, ObjectStore
from memory_core.storage.pins import PIN_LIFE_S, Condemnation, pinned
from memory_core.storage.reach import reached_blobs
from memory_core.storage_results import CollectResult

GRACE_S: Final = 3600.0
# A memory is published within seconds of its first object; what has no name after this never gets one.
ORPHAN_S: Final = 3600.0


def delete_unreached(store: ObjectStore, candidates: Iterable[str], without: frozenset[str] = frozenset()) -> set[str]:
    """Delete those blobs that no manifest (``without`` some) and no pin names; returns them."""
    left, deleted = set(candidates), set[str]()
    while left := left - reached_blobs(store, without) if left else left:
        with Condemnation(store, left) as condemnation:
            doomed = left - reached_blobs(store, without) - pinned(store)
            for key in sorted(doomed):
                if not condemnation.may_delete:
                    break
                store.delete(key)
                deleted.add(key)
            else:
                return deleted
        left = doomed - deleted
    return deleted


def collect_garbage(store: ObjectStore, grace_s: float = GRACE_S, *, is_dry_run: bool = False) -> CollectResult:
    """Clean the volume. Safe beside processes that learn, publish, fork, import and delete."""
    orphans = _orphans(store, max(grace_s, ORPHAN_S))
    for item in orphans if not is_dry_run else []:
        store.delete(item.key)
    gone = frozenset(item.key for item in orphans)
    old = {item.key: item for item in store.list_objects(keys.BLOBS) if _age_s(item) >= grace_s}
    unreached = set(old) - reached_blobs(store, gone) - pinned(store) if old else set[str]()
    blobs = unreached if is_dry_run else delete_unreached(store, unreached, gone)
    leftovers = _leftovers(store)
    for item in leftovers if not is_dry_run else []:
        store.delete(item.key)
    temporary = store.sweep_temporary(max(grace_s, ORPHAN_S), is_dry_run=is_dry_run)
    return CollectResult(
        is_dry_run=is_dry_run,
        blobs_removed=len(blobs),
        bytes_removed=sum(old[key].size_bytes for key in blobs) + sum(item.size_bytes for item in orphans),
        orphans_removed=len({item.key.split("/")[1] for item in orphans}),
        leftovers_removed=len(leftovers) + temporary,
    )


def _orphans(store: ObjectStore, min_age_s: float) -> list[ListedObject]:
    """Objects of memories that have no name, claims last. Names are read after the objects were listed."""
    by_uid: dict[str, list[ListedObject]] = defaultdict(list)
    for item in store.list_objects(keys.MEMORIES):
        by_uid[item.key.split("/")[1]].append(item)
    aged = {uid for uid, items in by_uid.items() if min(map(_age_s, items)) >= min_age_s}
    nameless = aged - _named_uids(store) if aged else set[str]()
    found = [item for uid in sorted(nameless) for item in by_uid[uid]]
    return sorted(found, key=lambda item: item.key.split("/")[2] == "epochs")


def _named_uids(store: ObjectStore) -> set[str]:
    found = set()
    for item in store.list_objects(keys.NAMES):
        try:
            found.add(read_document(store, item.key, "memory", MemoryEntry.from_dict).uid)
        except NotFound:
            continue
    return found


def _leftovers(store: ObjectStore) -> list[ListedObject]:
    listed = [item for folder in (keys.PROBES, keys.PINS, keys.CONDEMNED) for item in store.list_objects(folder)]
    return [item for item in (*listed, *_nameless_lines(store)) if _age_s(item) >= 2 * PIN_LIFE_S]


def _nameless_lines(store: ObjectStore) -> list[ListedObject]:
    """Lines of the listing that a crash left; a creation writes its line before its name, so they must be old."""
    lines = store.list_objects(keys.LINES)
    names = {item.key.removeprefix(keys.NAMES) for item in store.list_objects(keys.NAMES)}
    return [item for item in lines if name_of_line(item.key) not in names]


def _age_s(item: ListedObject) -> float:
    return time.time() - item.modified_s
