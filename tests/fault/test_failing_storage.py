"""Each storage call of a memory's day fails once, before it is done or with its answer lost.

The caller does what the error says: repeats the request, on a reopened memory when the writer ended. The day must end
as without the failure.
"""

import uuid
from pathlib import Path

import pytest

from memory_core.errors import Conflict, NeuralMemoryError, NotFound, Unavailable
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.crash_scenario import DONE_ALREADY, NAME, SCENARIO, SETTINGS, Mark, mark_of, model_marks
from memory_core.testing.faulty_store import FaultyStore, Operation, lost
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter


class FailAt:
    """Fails one operation instant, counted from 1."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.failed: Operation | None = None

    def __call__(self, operation: Operation) -> None:
        if operation.number == self.number:
            self.failed = operation
            raise lost(operation)


def open_again(store: ObjectStore) -> MemoryWriter:
    try:
        return MemoryWriter.open(store, NAME, SETTINGS)
    except Unavailable:
        return MemoryWriter.open(store, NAME, SETTINGS)


def live_through(store: FaultyStore, fail: FailAt, marks: list[Mark]) -> Mark:
    """The scenario by a caller that repeats what failed; the state in the end."""
    store.hook, store.operation_count = fail, 0
    writer = open_again(store)
    for position, step in enumerate(SCENARIO):
        try:
            step.perform(writer)
        except NeuralMemoryError as error:
            assert error.retryable, error
            if not writer.is_usable:
                writer = open_again(store)
            if step.label != "consolidate" or mark_of(writer) == marks[position]:
                repeat(writer, step.perform)
    return mark_of(open_again(store.inner))


def repeat(writer: MemoryWriter, perform: object) -> None:
    assert callable(perform)
    try:
        perform(writer)
    except (Conflict, NotFound) as error:
        # The first attempt had arrived; its answer was what got lost.
        assert error.code in DONE_ALREADY


def fail_everywhere(stores: list[FaultyStore], marks: list[Mark], step: int) -> dict[int, str]:
    wrong = {}
    number = 1
    for store in stores:
        Volume(store.inner).create(NAME, tiny_config())
        fail = FailAt(number)
        end = live_through(store, fail, marks)
        if fail.failed is None:
            return wrong
        if end != marks[-1]:
            wrong[number] = f"{fail.failed}: ended at {end}, expected {marks[-1]}"
        number += step
    pytest.fail("the scenario has more instants than the test has stores")


@pytest.fixture(scope="module")
def marks() -> list[Mark]:
    return model_marks(RamStore(uuid.uuid4().hex))


@pytest.mark.parametrize("first", [0])
def test_some_failing_storage_calls_change_nothing_in_the_end(marks: list[Mark], first: int) -> None:
    stores = [FaultyStore(RamStore(uuid.uuid4().hex)) for _ in range(60)]
    assert fail_everywhere(stores, marks, 13) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["file", "memory"])
def test_any_failing_storage_call_changes_nothing_in_the_end(marks: list[Mark], kind: str, tmp_path: Path) -> None:
    plain = [
        LocalStore(tmp_path / str(number)) if kind == "file" else RamStore(uuid.uuid4().hex) for number in range(600)
    ]
    assert fail_everywhere([FaultyStore(store) for store in plain], marks, 1) == {}
