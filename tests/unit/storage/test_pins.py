"""Pins and condemnations end by age, and their makers stop long before."""

import time
import uuid
from dataclasses import dataclass, field

import pytest

from memory_core.errors import Unavailable
from memory_core.ids import MemoryName, Tag
from memory_core.lifecycle.effects import Effect, PublishCheckpoint, PublishHead
from memory_core.storage import pins
from memory_core.storage.collect import delete_unreached
from memory_core.storage.pins import DELETING_S, PIN_LIFE_S, pin
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, Moment, Operation
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME = MemoryName("m")


@dataclass
class FakeTime:
    """A clock that stands until it is moved."""

    now_s: float = field(default_factory=time.time)

    def time(self) -> float:
        return self.now_s

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(pins, "time", fake)
    return fake


@pytest.mark.parametrize("waits_before", [PublishCheckpoint, PublishHead])
def test_what_took_too_long_to_store_is_not_published(clock: FakeTime, waits_before: type[Effect]) -> None:
    def dawdle(effect: Effect) -> None:
        if isinstance(effect, waits_before) and is_storing:
            clock.sleep(PIN_LIFE_S / 2 + 1)

    is_storing = False
    store = RamStore(uuid.uuid4().hex)
    Volume(store).create(NAME, tiny_config())
    writer = MemoryWriter.open(store, NAME, WriterSettings(on_effect=dawdle))
    writer.observe(tiny_observations("one"))
    is_storing = True
    with pytest.raises(Unavailable) as raised:
        writer.checkpoint(Tag("v1"))
    assert raised.value.code == "PIN_EXPIRED"
    again = MemoryWriter.open(store, NAME)
    assert again.stats().observation_count == 1
    assert again.stats().checkpoint_tags == (() if waits_before is PublishCheckpoint else ("v1",))


def test_a_collector_looks_anew_when_deleting_takes_long(clock: FakeTime) -> None:
    condemnations: list[str] = []

    def note(operation: Operation) -> None:
        if operation.moment is Moment.AFTER and operation.method == "create_if_absent":
            condemnations.append(operation.key)
        if operation.moment is Moment.AFTER and operation.method == "delete" and operation.key.startswith("blobs/"):
            clock.sleep(DELETING_S)

    store = FaultyStore(RamStore(uuid.uuid4().hex), note)
    keys = [f"blobs/00/{number:064d}" for number in range(3)]
    for key in keys:
        store.put(key, b"garbage")
    assert delete_unreached(store, keys) == set(keys)
    assert len(condemnations) == len(keys)


def test_a_blob_that_was_pinned_while_the_collector_deleted_is_spared(clock: FakeTime) -> None:
    keys = [f"blobs/00/{number:064d}" for number in range(2)]

    def pin_the_last(operation: Operation) -> None:
        if operation.moment is Moment.AFTER and operation.method == "delete" and operation.key == keys[0]:
            clock.sleep(DELETING_S)
        if operation.moment is Moment.AFTER and operation.method == "delete" and "condemned/" in operation.key:
            pin(store.inner, keys[1:])

    store = FaultyStore(RamStore(uuid.uuid4().hex), pin_the_last)
    for key in keys:
        store.put(key, b"garbage")
    assert delete_unreached(store, keys) == {keys[0]}
    assert store.exists(keys[1])


def test_a_pin_that_its_maker_never_released_ends_by_age(clock: FakeTime) -> None:
    store = RamStore(uuid.uuid4().hex)
    store.put("blobs/00/x", b"garbage")
    pin(store, ["blobs/00/x"])
    assert delete_unreached(store, ["blobs/00/x"]) == set()
    clock.sleep(PIN_LIFE_S + 1)
    assert delete_unreached(store, ["blobs/00/x"]) == {"blobs/00/x"}
