"""Small JSON objects that carry their own checksum, so that a flipped bit is noticed and never believed."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any, Final, TypeVar

from memory_core.errors import CorruptData
from memory_core.storage.object_store import ObjectStore

FORMAT_VERSION: Final = 1

T = TypeVar("T")


def canonical_json(value: Any) -> bytes:
    """The one spelling of a JSON value that hashes are taken over: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def pack_document(kind: str, body: dict[str, Any]) -> bytes:
    """Document bytes. A fresh nonce makes them unique, which create-if-absent needs to know its own object."""
    full = {**body, "kind": kind, "format_version": FORMAT_VERSION, "nonce": uuid.uuid4().hex}
    digest = hashlib.sha256(canonical_json(full)).hexdigest()
    return b'{"sha256":"' + digest.encode() + b'","body":' + canonical_json(full) + b"}\n"


def create_document(store: ObjectStore, key: str, kind: str, body: dict[str, Any]) -> bool:
    """Publish a document unless the key is taken; False when it is."""
    return store.create_if_absent(key, pack_document(kind, body))


def read_document(store: ObjectStore, key: str, kind: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """Read, check and parse. NotFound when there is none, CorruptData when it is damaged or of another format."""
    return unpack_document(store.get(key), key, kind, parse)


def unpack_document(data: bytes, key: str, kind: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """The parsed body of document bytes that were read from ``key``."""
    try:
        envelope = json.loads(data)
        body = envelope["body"]
        is_intact = hashlib.sha256(canonical_json(body)).hexdigest() == envelope["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(key, "is not a document") from error
    if not is_intact:
        raise _damaged(key, "does not match its checksum")
    if body["format_version"] != FORMAT_VERSION or body["kind"] != kind:
        raise _damaged(key, f"is {body['kind']} format {body['format_version']}, not {kind} format {FORMAT_VERSION}")
    try:
        return parse(body)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(key, "lacks a field") from error


def _damaged(key: str, what: str) -> CorruptData:
    return CorruptData(
        f"The stored document {ascii(key)} {what}.",
        hint="Restore this object from a backup of the volume; nothing of it was used.",
        key=key,
    )
