"""Garbage collection beside everything else: what a manifest reaches, or is about to, stays."""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from memory_core.errors import CorruptData, NeuralMemoryError, Unavailable
from memory_core.ids import MemoryName, Tag
from memory_core.results import ForgetSelection
from memory_core.storage import pins
from memory_core.storage.collect import collect_garbage, delete_unreached
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.pins import Condemnation, pin
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, Moment, Operation, do_nothing, flip_bit
from memory_core.testing.small_memory import tiny_config, tiny_observations, tiny_text
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter

NAME = MemoryName("m")


@pytest.fixture
def store() -> ObjectStore:
    return RamStore(uuid.uuid4().hex)


def taught(store: ObjectStore) -> MemoryWriter:
    volume = Volume(store)
    volume.create(NAME, tiny_config())
    writer = volume.open_writer(NAME)
    writer.observe(tiny_observations("one"))
    return writer


def blobs(store: ObjectStore) -> set[str]:
    return {item.key for item in store.list_objects("blobs/")}


def test_only_what_nothing_reaches_goes_and_a_dry_run_only_tells(store: ObjectStore) -> None:
    writer = taught(store)
    writer.checkpoint(Tag("v1"))
    reached = blobs(store)
    store.put("blobs/00/" + 64 * "0", b"garbage")
    assert collect_garbage(store, 3600.0).blobs_removed == 0
    told = collect_garbage(store, 0.0, is_dry_run=True)
    assert (told.blobs_removed, told.bytes_removed, len(blobs(store))) == (1, 7, len(reached) + 1)
    assert collect_garbage(store, 0.0).blobs_removed == 1
    assert blobs(store) == reached


def test_blobs_of_a_deleted_version_go_when_no_head_needs_them(store: ObjectStore) -> None:
    writer = taught(store)
    writer.checkpoint(Tag("v1"))
    Volume(store).delete_checkpoint(NAME, Tag("v1"))
    assert collect_garbage(store, 0.0).blobs_removed == 0
    writer.consolidate()
    writer.consolidate()
    assert collect_garbage(store, 0.0).blobs_removed > 0
    assert blobs(store) == set()
    assert MemoryWriter.open(store, NAME).stats().observation_count == 1


def test_a_damaged_manifest_stops_the_collection(store: ObjectStore) -> None:
    taught(store).checkpoint(Tag("v1"))
    store.put("blobs/00/" + 64 * "0", b"garbage")
    flip_bit(store, next(item.key for item in store.list_objects("memories/") if "checkpoints" in item.key), 400)
    before = blobs(store)
    with pytest.raises(CorruptData):
        collect_garbage(store, 0.0)
    assert blobs(store) == before


def between_calls(store: ObjectStore, other: Callable[[], object], number: int) -> FaultyStore:
    """A store on which something else happens right before its ``number``th call."""

    def hook(operation: Operation) -> None:
        if operation.number == number and operation.moment is Moment.BEFORE:
            faulty.hook = do_nothing
            other()

    faulty = FaultyStore(store, hook)
    return faulty


def loads(store: ObjectStore, name: MemoryName) -> None:
    for page in (Volume(store).list_checkpoints(name),):
        for item in page.checkpoints:
            assert Volume(store).verify(name).is_intact, item.tag
    MemoryWriter.open(store, name).close(must_fold=False)


@pytest.mark.parametrize("number", range(1, 46))
def test_whatever_the_order_a_fork_beside_a_collection_is_whole_or_refused(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector stops at each of its calls, while a version is forked; then the fork stops at each of its own."""
    monkeypatch.setattr(pins, "_WAIT_S", 0.0)
    for is_fork_inside in (True, False):
        store = RamStore(uuid.uuid4().hex)
        writer = taught(store)
        writer.checkpoint(Tag("v1"))
        writer.consolidate()
        writer.consolidate()
        child = MemoryName("child")

        def fork(where: ObjectStore, child: MemoryName = child) -> None:
            try:
                Volume(where).fork(NAME, Tag("v1"), child)
            except NeuralMemoryError as error:
                assert error.code in {"CHECKPOINT_NOT_FOUND", "COLLECTING"}

        def collect(where: ObjectStore) -> None:
            Volume(where).delete_checkpoint(NAME, Tag("v1"))
            collect_garbage(where, 0.0)

        outer, inner = (collect, fork) if is_fork_inside else (fork, collect)
        outer(between_calls(store, lambda inner=inner, store=store: inner(store), number))
        if store.exists("names/child"):
            loads(store, child)


@pytest.mark.parametrize("number", range(1, 30))
def test_whatever_the_order_a_checkpoint_that_finds_its_blobs_stored_is_whole_or_refused(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "_WAIT_S", 0.0)
    store = RamStore(uuid.uuid4().hex)
    twin = MemoryName("twin")
    taught(store).checkpoint(Tag("v1"))
    Volume(store).fork(NAME, Tag("v1"), twin)
    # The twin's blobs lie there already, reached by nobody after the first memory went.
    Volume(store).delete(twin)
    Volume(store).create(twin, tiny_config())
    other = Volume(store).open_writer(twin)
    other.observe(tiny_observations("one"))
    Volume(store).delete(NAME)

    def checkpoint() -> None:
        try:
            other.checkpoint(Tag("v1"))
        except Unavailable as error:
            assert error.code == "COLLECTING"

    collect_garbage(between_calls(store, checkpoint, number), 0.0)
    loads(store, twin)


def test_a_pinned_blob_is_spared_and_a_condemned_one_cannot_be_pinned(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "_WAIT_S", 0.0)
    key = "blobs/00/" + 64 * "0"
    store.put(key, b"garbage")
    held = pin(store, [key])
    assert delete_unreached(store, {key}) == set()
    held.release()
    with Condemnation(store, {key}), pytest.raises(Unavailable) as raised:
        pin(store, [key])
    assert (raised.value.code, store.list_objects("pins/")) == ("COLLECTING", [])
    assert delete_unreached(store, {key}) == {key}


def test_remains_of_crashes_go_when_they_are_old(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    writer = taught(store)
    uid = store.list_objects("memories/")[0].key.split("/")[1]
    for path in (tmp_path / "tmp" / "torn", tmp_path / "probes" / "x", tmp_path / "pins" / "y"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    writer.close()
    assert collect_garbage(store, 0.0).leftovers_removed == 0
    store.delete(f"names/{NAME}")
    long_ago = time.time() - 100_000
    for path in tmp_path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    told = collect_garbage(store, 0.0, is_dry_run=True)
    assert collect_garbage(store, 0.0).leftovers_removed == told.leftovers_removed == 4
    assert told.orphans_removed == 1
    assert not [item for item in store.list_objects("memories/") if uid in item.key]


def test_forgetting_deletes_blobs_of_its_old_heads_unless_another_process_is_about_to_name_them(
    store: ObjectStore,
) -> None:
    writer = taught(store)
    writer.checkpoint(Tag("v1"))
    Volume(store).delete_checkpoint(NAME, Tag("v1"))
    held = pin(store, list(blobs(store))[:1])
    everything = ForgetSelection(seq_from=1)
    writer.forget(everything, [tiny_text(text) for text in writer.texts_to_forget(everything)])
    assert len(blobs(store)) == 1
    held.release()
    collect_garbage(store, 0.0)
    assert blobs(store) == set()
