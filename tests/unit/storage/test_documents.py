"""Documents carry their checksum and their format."""

import json
import uuid
from typing import Any

import pytest

from memory_core.errors import CorruptData, NotFound
from memory_core.storage.documents import canonical_json, create_document, pack_document, read_document
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import flip_bit, truncate

KEY = "a/document.json"


@pytest.fixture
def store() -> ObjectStore:
    return RamStore(uuid.uuid4().hex)


def read(store: ObjectStore, kind: str = "head") -> dict[str, Any]:
    return read_document(store, KEY, kind, dict)


def test_a_document_comes_back_with_its_body(store: ObjectStore) -> None:
    assert create_document(store, KEY, "head", {"seq": 7, "rate": 0.1, "text": "ü"})
    body = read(store)
    assert (body["seq"], body["rate"], body["text"]) == (7, 0.1, "ü")


def test_the_first_document_under_a_key_stays(store: ObjectStore) -> None:
    assert create_document(store, KEY, "head", {"seq": 1})
    assert not create_document(store, KEY, "head", {"seq": 1})
    assert read(store)["seq"] == 1


def test_every_flipped_bit_is_noticed(store: ObjectStore) -> None:
    intact = pack_document("head", {"seq": 7})
    for bit in range(8 * (len(intact) - 1)):
        store.put(KEY, intact)
        flip_bit(store, KEY, bit)
        with pytest.raises(CorruptData):
            read(store)


def test_every_truncation_is_noticed(store: ObjectStore) -> None:
    intact = pack_document("head", {"seq": 7})
    for length in range(len(intact) - 2):
        store.put(KEY, intact)
        truncate(store, KEY, length)
        with pytest.raises(CorruptData):
            read(store)


def test_another_kind_of_document_is_refused(store: ObjectStore) -> None:
    create_document(store, KEY, "head", {})
    with pytest.raises(CorruptData, match="is head format 1, not checkpoint format 1"):
        read(store, "checkpoint")


def test_a_newer_format_is_refused(store: ObjectStore) -> None:
    import hashlib

    body = json.loads(pack_document("head", {}))["body"] | {"format_version": 2}
    envelope = {"body": body, "sha256": hashlib.sha256(canonical_json(body)).hexdigest()}
    store.put(KEY, json.dumps(envelope).encode())
    with pytest.raises(CorruptData, match="format 2"):
        read(store)


def test_a_document_that_lacks_a_field_is_refused(store: ObjectStore) -> None:
    create_document(store, KEY, "head", {})
    with pytest.raises(CorruptData, match="lacks a field"):
        read_document(store, KEY, "head", lambda body: body["seq"])


def test_a_missing_document_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        read(store)
