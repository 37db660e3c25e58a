"""Terms of memories on a volume, and what ends at which time.

A writer puts terms under its epoch, and the greatest key counts, as with heads: what a fenced writer still writes is
never read. ``expiries/`` has an empty object per end that was ever said, in order of time; the terms decide.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from memory_core.errors import NotFound
from memory_core.ids import Epoch, MemoryName
from memory_core.storage import keys
from memory_core.storage.catalog import Catalog
from memory_core.storage.documents import pack_document, read_document
from memory_core.storage.object_store import ObjectStore
from memory_core.terms import MemoryTerms

# A change that was accepted just before the end must be durable before anybody acts on the old one.
_GRACE: Final = timedelta(seconds=5)


def parse_terms(body: dict[str, Any]) -> MemoryTerms:
    """From the body of their document, which has a ``kind`` of its own."""
    return MemoryTerms.from_dict(body["terms"])


def write_terms(store: ObjectStore, uid: str, name: MemoryName, epoch: Epoch, terms: MemoryTerms) -> None:
    """Replace the terms of a memory; durable when it returns."""
    if terms.expires_at is not None:
        store.put(keys.expiry(terms.expires_at, uid, name), b"")
    before = [item.key for item in store.list_objects(keys.all_terms(uid))]
    number = 1 + max((keys.term_number(key, epoch) for key in before), default=0)
    store.put(keys.terms(uid, epoch, number), pack_document("terms", {"terms": terms.to_dict()}))
    for key in before:
        if key < keys.terms(uid, epoch, number):
            store.delete(key)


def read_terms(store: ObjectStore, uid: str) -> MemoryTerms:
    """The terms of a memory; the default ones when none were written."""
    while listed := store.list_objects(keys.all_terms(uid)):
        try:
            return read_document(store, listed[-1].key, "terms", parse_terms)
        except NotFound:
            continue  # replaced in between
    return MemoryTerms()


def delete_expired(store: ObjectStore, now: datetime) -> list[MemoryName]:
    """Delete the memories whose time is over; their names. Safe beside their writers, which refuse calls by then."""
    deleted: list[MemoryName] = []
    due = keys.EXPIRIES + (now - _GRACE).isoformat()
    for item in store.list_objects(keys.EXPIRIES):
        if item.key >= due:
            break
        uid, name = keys.parts_of_expiry(item.key)
        if read_terms(store, uid).is_over(now) and _delete(store, uid, name):
            deleted.append(name)
        store.delete(item.key)
    return deleted


def _delete(store: ObjectStore, uid: str, name: MemoryName) -> bool:
    catalog = Catalog(store)
    try:
        if catalog.find(name).uid != uid:
            return False
        catalog.delete(name)
    except NotFound:
        return False
    return True
