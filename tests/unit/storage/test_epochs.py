"""Claims: one winner per number, older ones fenced, deletion fences too."""

import threading
import uuid

import pytest

from memory_core.errors import Fenced, NotFound
from memory_core.ids import Epoch
from memory_core.storage import epochs, keys
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, Moment, failing

UID = "u1"


@pytest.fixture
def store() -> ObjectStore:
    store = RamStore(uuid.uuid4().hex)
    epochs.first_claim(store, UID)
    return store


def test_a_claim_takes_the_next_number_and_fences_the_one_before(store: ObjectStore) -> None:
    first = epochs.claim(store, UID)
    epochs.require_newest(store, UID, first)
    second = epochs.claim(store, UID)
    assert second == first + 1
    with pytest.raises(Fenced):
        epochs.require_newest(store, UID, first)
    epochs.require_newest(store, UID, second)


def test_concurrent_claims_get_different_numbers(store: ObjectStore) -> None:
    won: list[Epoch] = []
    threads = [threading.Thread(target=lambda: won.append(epochs.claim(store, UID))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, 9))


def test_a_writer_stays_fenced_when_old_claims_are_forgotten(store: ObjectStore) -> None:
    old = epochs.claim(store, UID)
    for _ in range(30):
        epochs.claim(store, UID)
    assert not store.exists(keys.epoch(UID, old))
    assert len(store.list_objects(keys.epochs(UID))) < 12
    with pytest.raises(Fenced):
        epochs.require_newest(store, UID, old)


def test_a_writer_whose_claim_was_deleted_is_fenced(store: ObjectStore) -> None:
    epoch = epochs.claim(store, UID)
    for item in store.list_objects(keys.epochs(UID)):
        store.delete(item.key)
    with pytest.raises(Fenced):
        epochs.require_newest(store, UID, epoch)


def test_a_memory_without_claims_was_deleted() -> None:
    with pytest.raises(NotFound):
        epochs.claim(RamStore(uuid.uuid4().hex), UID)


def test_a_claim_whose_answer_was_lost_leaves_a_number_that_nobody_uses(store: ObjectStore) -> None:
    faulty = FaultyStore(store, failing("create_if_absent", "epochs", Moment.AFTER))
    with pytest.raises(Exception, match="Storage failed"):
        epochs.claim(faulty, UID)
    epoch = epochs.claim(faulty, UID)
    assert epoch == 2
    epochs.require_newest(faulty, UID, epoch)
