"""Runs of the journal: order, closed ends, torn tails, corruption that names its record."""

import uuid
from pathlib import Path

import pytest

from memory_core.errors import CorruptData
from memory_core.ids import Epoch, Seq
from memory_core.storage.journal import Journal, Run, delete_segments_before, read_run
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.storage.records import JournalRecord
from memory_core.testing.faulty_store import flip_bit, truncate
from memory_core.testing.small_memory import tiny_observations

UID = "u1"
EPOCH = Epoch(3)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path) if request.param == "file" else RamStore(uuid.uuid4().hex)


def record(first_seq: int, count: int = 1) -> JournalRecord:
    texts = [f"text {first_seq + offset}" for offset in range(count)]
    return JournalRecord(first_seq=Seq(first_seq), observations=tuple(tiny_observations(*texts)))


def write(store: ObjectStore, *groups: list[JournalRecord], epoch: Epoch = EPOCH) -> Journal:
    journal = Journal(store, UID, epoch)
    for group in groups:
        journal.append(group)
    return journal


def seqs(store: ObjectStore, run: Run) -> list[int]:
    return [item.first_seq for group in read_run(store, UID, run) for item in group]


def open_run(first_seq: int = 1, first_segment: int = 1) -> Run:
    return Run(EPOCH, first_segment, Seq(first_seq), None)


def closed_run(last_seq: int) -> Run:
    return Run(EPOCH, 1, Seq(1), Seq(last_seq))


def segments(store: ObjectStore) -> list[str]:
    return [item.key for item in store.list_objects(f"memories/{UID}/journal/")]


def test_records_are_read_in_the_order_they_were_appended(store: ObjectStore) -> None:
    write(store, [record(1), record(2, 3)], [record(5)])
    assert seqs(store, open_run()) == [1, 2, 5]


def test_a_journal_without_records_is_empty(store: ObjectStore) -> None:
    write(store).close()
    assert seqs(store, open_run()) == []


def test_reading_goes_on_across_a_rotation_and_starts_where_a_head_says(store: ObjectStore) -> None:
    journal = write(store, [record(1)], [record(2)])
    segment = journal.rotate()
    journal.append([record(3)])
    assert seqs(store, open_run()) == [1, 2, 3]
    assert seqs(store, open_run(3, segment)) == [3]


def test_a_rotation_before_any_record_takes_no_number(store: ObjectStore) -> None:
    journal = write(store)
    assert journal.rotate() == journal.rotate() == 1


def test_what_lies_beyond_a_closed_run_is_never_read(store: ObjectStore) -> None:
    journal = write(store, [record(1)], [record(2)])
    closed = closed_run(2)
    journal.append([record(3)])
    journal.append([record(4)])
    assert seqs(store, closed) == [1, 2]


def test_a_closed_run_that_lost_its_end_is_corrupt(store: ObjectStore) -> None:
    write(store, [record(1)])
    with pytest.raises(CorruptData) as raised:
        seqs(store, closed_run(2))
    assert raised.value.context["seq"] == 2


def test_damage_beyond_a_closed_run_is_ignored(store: ObjectStore) -> None:
    write(store, [record(1)], [record(2)])
    last = segments(store)[-1]
    flip_bit(store, last, 8 * (len(store.get(last)) - 30))
    assert seqs(store, closed_run(1)) == [1]


def test_a_flipped_bit_names_the_record_that_it_hit(store: ObjectStore) -> None:
    write(store, [record(1)], [record(2)], [record(3)])
    middle = segments(store)[len(segments(store)) // 2]
    flip_bit(store, middle, 4 * len(store.get(middle)))
    with pytest.raises(CorruptData) as raised:
        seqs(store, open_run())
    assert raised.value.context["seq"] == 2
    assert "text" not in str(raised.value)


def test_a_gap_between_segments_is_corrupt(store: ObjectStore) -> None:
    journal = write(store, [record(1)])
    journal.rotate()
    journal.append([record(2)])
    journal.rotate()
    journal.append([record(3)])
    store.delete(segments(store)[1])
    with pytest.raises(CorruptData) as raised:
        seqs(store, open_run())
    assert raised.value.context["seq"] == 2


def test_a_torn_tail_is_cut_in_a_file_that_grows(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    write(store, [record(1)], [record(2)])
    (segment,) = segments(store)
    whole = len(store.get(segment))
    truncate(store, segment, whole - 1)
    assert seqs(store, open_run()) == [1]


def test_a_torn_file_before_the_last_one_is_corrupt(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    journal = write(store, [record(1)], [record(2)])
    journal.rotate()
    journal.append([record(3)])
    truncate(store, segments(store)[0], len(store.get(segments(store)[0])) - 1)
    with pytest.raises(CorruptData):
        seqs(store, open_run())


def test_an_object_cannot_be_torn_so_a_short_one_is_corrupt() -> None:
    store = RamStore(uuid.uuid4().hex)
    write(store, [record(1)], [record(2)])
    truncate(store, segments(store)[-1], 60)
    with pytest.raises(CorruptData):
        seqs(store, open_run())


def test_pruning_keeps_the_run_and_everything_after_it(store: ObjectStore) -> None:
    write(store, [record(1)], epoch=Epoch(2))
    journal = write(store, [record(1)])
    segment = journal.rotate()
    journal.append([record(2)])
    write(store, [record(3)], epoch=Epoch(4))
    delete_segments_before(store, UID, open_run(2, segment))
    assert [key.split("/")[3] for key in segments(store)] == ["0000000003", "0000000004"]
    assert seqs(store, open_run(2, segment)) == [2]
