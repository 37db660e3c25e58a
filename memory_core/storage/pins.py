"""Who may rely on a blob that is there already, and who may delete one: neither trusts the other's timing.

A blob is named by its content, so a writer that finds it stored does not store it again, and a fork only names it.
If that blob was unreachable until then, somebody may be about to delete it. Both sides write before they look:

    writer:     pin the blobs       ->  see that none is condemned            ->  store or skip  ->  publish  ->  unpin
    collector:  condemn the blobs   ->  see which no manifest and no pin has  ->  delete those   ->  absolve

Whoever writes second sees the other. A writer that sees a blob condemned waits, since it cannot know what the collector
saw; a collector that sees a pin spares the blob. A fork or a restore reads its checkpoint again after it pinned: while
the checkpoint is there, so are its blobs, and from then on the pin keeps them.

Crashes leave pins and condemnations behind, so both end by age. Their makers stop long before: a pin is too old to
publish with after half its life, and a collector deletes for a tenth of a condemnation's life, then starts anew. Only a
process that sleeps between two lines of code for minutes, while clocks run on, could break the promise.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Final

from memory_core.errors import NotFound, Unavailable
from memory_core.storage import keys
from memory_core.storage.documents import create_document, read_document
from memory_core.storage.object_store import ObjectStore

PIN_LIFE_S: Final = 3600.0
CONDEMNED_LIFE_S: Final = 300.0
DELETING_S: Final = 30.0
_WAIT_S: Final = 5.0
_POLL_S: Final = 0.05
_RELEASE_ATTEMPTS: Final = 3


class Pin:
    """Blobs that this process is about to name. Made by ``pin``."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._made_at_s = time.monotonic()

    def require_fresh(self) -> None:
        """Unavailable when too much time passed to publish safely."""
        if time.monotonic() - self._made_at_s > PIN_LIFE_S / 2:
            raise Unavailable("Storing the state took too long.", code="PIN_EXPIRED", hint="Repeat the request.")

    def release(self) -> None:
        """The manifest is published, or will never be. A pin that cannot be removed ends by age."""
        _remove(self._store, self._key)


def pin(store: ObjectStore, blob_keys: Iterable[str]) -> Pin:
    """Keep blobs from being deleted, also ones that are not there yet.

    Unavailable (COLLECTING) when one of them is being deleted right now and that does not end within seconds.
    """
    wanted = sorted(set(blob_keys))
    key = keys.pin(uuid.uuid4().hex)
    made = Pin(store, key)
    create_document(store, key, "pin", {"keys": wanted})
    give_up_at_s = time.monotonic() + _WAIT_S
    try:
        while _listed(store, keys.CONDEMNED, "condemned", CONDEMNED_LIFE_S) & set(wanted):
            if time.monotonic() > give_up_at_s:
                raise Unavailable(
                    "Stored tensors equal to these are being deleted right now.",
                    code="COLLECTING",
                    hint="Repeat the request.",
                    retry_after_s=_WAIT_S,
                )
            time.sleep(_POLL_S)
    except BaseException:
        made.release()
        raise
    return made


def pinned(store: ObjectStore) -> set[str]:
    """Keys of the blobs that somebody is about to name."""
    return _listed(store, keys.PINS, "pin", PIN_LIFE_S)


class Condemnation:
    """Blobs that this process is about to delete; to be used in a ``with`` around the second look and the deletion."""

    def __init__(self, store: ObjectStore, blob_keys: Iterable[str]) -> None:
        self._store = store
        self._keys = sorted(blob_keys)
        self._key = keys.condemned(uuid.uuid4().hex)
        self._made_at_s = 0.0

    @property
    def may_delete(self) -> bool:
        """False when it is time to look again."""
        return time.monotonic() - self._made_at_s < DELETING_S

    def __enter__(self) -> Condemnation:
        """Condemn."""
        self._made_at_s = time.monotonic()
        try:
            create_document(self._store, self._key, "condemned", {"keys": self._keys})
        except BaseException:
            _remove(self._store, self._key)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Absolve what was not deleted."""
        _remove(self._store, self._key)


def _listed(store: ObjectStore, folder: str, kind: str, life_s: float) -> set[str]:
    found: set[str] = set()
    for item in store.list_objects(folder):
        if time.time() - item.modified_s < life_s:
            try:
                found |= read_document(store, item.key, kind, lambda body: set(body["keys"]))
            except NotFound:
                continue
    return found


def _remove(store: ObjectStore, key: str) -> None:
    for _ in range(_RELEASE_ATTEMPTS):
        try:
            store.delete(key)
        except Unavailable:
            continue
        return
