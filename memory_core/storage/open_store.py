"""From a URL to a checked ObjectStore.

One writer per memory rests on create-if-absent being atomic, so a volume has to show it at start: on a known
protocol by a probe that really runs, on any other protocol only by the operator's word (``single_writer=True``).
"""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from memory_core.errors import InvalidInput, Unavailable
from memory_core.storage import keys
from memory_core.storage.any_store import AnyStore
from memory_core.storage.documents import create_document, read_document
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import SINGLE_WRITER, ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.storage.s3_store import S3Store

_PROBE_RACERS: Final = 4


def open_store(url: str, *, single_writer: bool = False, **options: Any) -> ObjectStore:
    """Open the volume at ``file://``, ``memory://`` or ``s3://``; ``options`` go to the file system.

    The promise of a single writer may also be part of the URL: ``?single_writer=true``.

    InvalidInput when the protocol cannot create atomically, Unavailable when the volume cannot be reached or
    fails the probe, CorruptData when a newer format wrote it.
    """
    store = _connect(url, single_writer, options)
    if not isinstance(store, AnyStore):
        require_atomic_create(store)
    _require_known_format(store)
    return store


def _connect(url: str, single_writer: bool, options: dict[str, Any]) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme in {"", "file"}:
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "memory":
        return RamStore(f"{parts.netloc}{parts.path}")
    if parts.scheme == "s3":
        return S3Store(parts.netloc, unquote(parts.path), **options)
    if single_writer or SINGLE_WRITER in parts.query.split("&"):
        return AnyStore(parts._replace(query="").geturl(), **options)
    raise InvalidInput(
        f"Storage protocol {ascii(parts.scheme)} has no atomic create, so two writers could both own a memory.",
        hint="Use file://, s3:// or memory://, or set single_writer if nothing else ever writes to the volume.",
        protocol=parts.scheme,
    )


def require_atomic_create(store: ObjectStore) -> None:
    """Let threads race to create one key; Unavailable unless exactly one wins and a later create loses."""
    key = keys.probe(uuid.uuid4().hex)
    wins: list[bool] = []
    failures: list[Exception] = []

    def race(number: int) -> None:
        try:
            wins.append(store.create_if_absent(key, f"{number} {uuid.uuid4().hex}".encode()))
        except Exception as error:  # handed to the opening thread, which raises it
            failures.append(error)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(_PROBE_RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    if failures:
        raise failures[0]
    store.delete(key)
    if wins.count(True) != 1:
        raise Unavailable(
            f"The volume let {wins.count(True)} of {_PROBE_RACERS} writers create the same object.",
            code="STORAGE_NOT_ATOMIC",
            hint="Use a store that honours exclusive create (local disk, or S3 with If-None-Match).",
        )


def _require_known_format(store: ObjectStore) -> None:
    key = keys.volume()
    if not store.exists(key):
        create_document(store, key, "volume", {})
    read_document(store, key, "volume", dict)
