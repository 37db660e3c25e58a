"""Every stored object, damaged in turn: verification names it, and nothing else."""

import uuid
from pathlib import Path

import pytest

from memory_core.errors import NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import flip_bit, truncate
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume

NAME = MemoryName("m")


@pytest.fixture(params=["file", "ram"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path / "volume") if request.param == "file" else RamStore(uuid.uuid4().hex)


@pytest.fixture
def volume(store: ObjectStore) -> Volume:
    """A memory with a version, a private head, answers and a journal."""
    volume = Volume(store)
    volume.create(NAME, tiny_config())
    writer = volume.open_writer(NAME)
    writer.observe(tiny_observations("one"))
    writer.checkpoint(Tag("v1"))
    writer.observe(tiny_observations("two"))
    writer.consolidate()
    writer.observe(tiny_observations("three"))
    writer.observe(tiny_observations("four"))
    return volume


def reached(store: ObjectStore) -> list[str]:
    return [item.key for item in store.list_objects("") if not item.key.startswith(("volume", "lines/"))]


def test_a_sound_volume_has_no_damage(volume: Volume) -> None:
    assert volume.verify(NAME).is_intact
    assert volume.verify(None).is_intact


def test_positions_that_were_taken_twice_are_no_damage(store: ObjectStore, volume: Volume) -> None:
    writer = volume.open_writer(NAME)
    for _ in range(2):
        writer.observe(tiny_observations("five", "six"))
        writer.restore(Tag("v1"))
        assert volume.verify(NAME).damages == ()
    writer.observe(tiny_observations("seven"))
    volume.open_writer(NAME).observe(tiny_observations("eight"))
    assert volume.verify(NAME).damages == ()


def test_each_flipped_bit_is_found_under_its_key(store: ObjectStore, volume: Volume) -> None:
    for key in reached(store):
        whole = store.get(key)
        flip_bit(store, key, 8 * (len(whole) // 2) + 1)
        report = volume.verify(NAME)
        assert [damage.key for damage in report.damages] == [key], key
        assert all(damage.cause and damage.next_step for damage in report.damages)
        store.put(key, whole)
    assert volume.verify(NAME).is_intact


def test_what_is_missing_or_cut_is_found(store: ObjectStore, volume: Volume) -> None:
    blobs = [key for key in reached(store) if key.startswith("blobs/") or "/state/" in key]
    for key in blobs:
        whole = store.get(key)
        truncate(store, key, len(whole) - 1)
        assert [damage.key for damage in volume.verify(NAME).damages] == [key]
        store.delete(key)
        assert [damage.key for damage in volume.verify(NAME).damages] == [key]
        store.put(key, whole)


def test_the_rest_covers_names_and_blobs_that_nothing_reaches(store: ObjectStore, volume: Volume) -> None:
    store.put("blobs/00/" + 64 * "0", b"not what its name says")
    flip_bit(store, "names/m", 99)
    found = {damage.key for damage in volume.verify(None).damages}
    assert found == {"blobs/00/" + 64 * "0", "names/m"}


def test_verification_writes_nothing(store: ObjectStore, volume: Volume) -> None:
    before = store.list_objects("")
    volume.verify(NAME)
    volume.verify(None)
    assert store.list_objects("") == before
    with pytest.raises(NotFound):
        volume.verify(MemoryName("nobody"))
