"""A page of memories costs two listings, and what crashes leave of a line misleads nobody."""

import uuid
from collections import Counter
from pathlib import Path

import pytest

from memory_core.ids import MemoryName, Tag
from memory_core.results import MemoryInfo
from memory_core.storage.collect import collect_garbage
from memory_core.storage.lines import line_key
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, Moment, Operation
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume

NAMES = [MemoryName(name) for name in ("a", "a-b", "a.b", "a0", "aa", "b", "~tenant~b", "Z" * 128)]


@pytest.fixture(params=["file", "ram"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path / "volume") if request.param == "file" else RamStore(uuid.uuid4().hex)


@pytest.fixture
def volume(store: ObjectStore) -> Volume:
    volume = Volume(store)
    for name in NAMES:
        volume.create(name, tiny_config())
    return volume


def calls_of_a_page(store: ObjectStore, limit: int) -> Counter[str]:
    """Which calls the first listing of a process makes."""
    calls: Counter[str] = Counter()

    def count(operation: Operation) -> None:
        if operation.moment is Moment.BEFORE:
            calls[operation.method] += 1

    Volume(FaultyStore(store, count)).list_memories(limit)
    return calls


def every_page(volume: Volume, limit: int) -> list[MemoryInfo]:
    found: list[MemoryInfo] = []
    cursor = None
    while True:
        page = volume.list_memories(limit, cursor)
        found += page.memories
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_come_in_name_order_and_equal_the_names_themselves(volume: Volume, limit: int) -> None:
    assert [info.name for info in every_page(volume, limit)] == sorted(NAMES)
    assert every_page(volume, limit) == [volume.find(name).info for name in sorted(NAMES)]


def test_a_page_reads_no_object(store: ObjectStore, volume: Volume) -> None:
    assert calls_of_a_page(store, 100) == {"list_objects": 2}
    writer = volume.open_writer(NAMES[0])
    writer.checkpoint(Tag("v1"))
    volume.fork(NAMES[0], Tag("v1"), MemoryName("fork"))
    volume.delete(NAMES[1])
    assert calls_of_a_page(store, 100) == {"list_objects": 2}


def test_lines_that_are_missing_double_or_foreign_are_mended(store: ObjectStore, volume: Volume) -> None:
    before = every_page(volume, 100)
    first, second, third = (volume.find(name) for name in NAMES[:3])
    store.delete(line_key(first.uid, first.info))
    store.put(line_key("of another life", second.info), b"")
    store.delete(line_key(third.uid, third.info))
    store.put(f"lines/{third.info.name}!nonsense", b"")
    store.put("lines/ghost!nonsense", b"")
    assert every_page(volume, 100) == before
    assert calls_of_a_page(store, 100)["get"] == 0
    assert collect_garbage(store, 0.0).orphans_removed == 0
    assert every_page(volume, 2) == before
