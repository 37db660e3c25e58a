"""Versions that nobody asks for: when they come, what they hold, when they go."""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from memory_core.errors import Unavailable
from memory_core.ids import MemoryName, Tag
from memory_core.lifecycle.effects import Effect, WriteCheckpoint
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.results import ForgetSelection
from memory_core.storage import keys
from memory_core.storage_results import RetentionPolicy
from memory_core.testing.faulty_store import FaultyStore, failing
from memory_core.testing.small_memory import tiny_observations, tiny_text
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME = MemoryName("m")


@dataclass
class FakeClock:
    """A clock that a test sets."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def open_with(store: FaultyStore, clock: FakeClock | None = None, keep: int = 8, **rules: float) -> MemoryWriter:
    settings = WriterSettings(
        rhythm=CheckpointRhythm(**rules),  # type: ignore[arg-type]
        retention=RetentionPolicy(keep_last=keep),
        clock=clock or FakeClock(),
    )
    return MemoryWriter.open(store, NAME, settings)


def learn(writer: MemoryWriter, *texts: str) -> None:
    for text in texts:
        writer.observe(tiny_observations(text))


def tags(writer: MemoryWriter) -> list[str]:
    return [item.tag for item in writer.list_checkpoints().checkpoints]


def test_a_version_comes_after_so_many_observations_and_empties_the_journal(store: FaultyStore) -> None:
    writer = open_with(store, every_observations=3)
    learn(writer, "one", "two")
    assert tags(writer) == []
    learn(writer, "three")
    (version,) = writer.list_checkpoints().checkpoints
    assert (version.tag, version.observation_count, version.weight_hash) == (
        f"auto-{writer.epoch}-1",
        3,
        writer.stats().weight_hash,
    )
    assert list(writer._memory.files.journal_after(writer._memory.head)) == []
    learn(writer, "four")
    lost = writer.restore(version.tag)
    assert (lost.observations_lost, lost.weight_hash) == (1, version.weight_hash)


def test_only_the_newest_of_them_are_kept_and_none_that_somebody_asked_for_goes(store: FaultyStore) -> None:
    writer = open_with(store, keep=2, every_observations=1)
    learn(writer, "one")
    writer.checkpoint(Tag("mine"))
    learn(writer, "two", "three", "four")
    epoch = writer.epoch
    assert tags(writer) == [f"auto-{epoch}-4", f"auto-{epoch}-3", "mine"]


def test_a_memory_s_own_rules_come_first_and_never_touch_what_was_asked_for(store: FaultyStore) -> None:
    Volume(store).set_retention(NAME, RetentionPolicy(keep_last=1, keep_tagged=False))
    writer = open_with(store, every_observations=1)
    writer.checkpoint(Tag("mine"))
    learn(writer, "one", "two")
    assert tags(writer) == [f"auto-{writer.epoch}-2", "mine"]


def test_a_version_comes_when_something_waited_for_long(store: FaultyStore) -> None:
    clock = FakeClock()
    writer = open_with(store, clock, every_s=3600)
    writer.keep_time()
    learn(writer, "one")
    for seconds, expected in ((0, 0), (3599, 0), (1, 1), (7200, 1)):
        clock.pass_(seconds)
        writer.keep_time()
        assert len(tags(writer)) == expected
    learn(writer, "two")
    writer.keep_time()
    clock.pass_(3600)
    writer.keep_time()
    assert len(tags(writer)) == 2


def test_bytes_of_a_journal_that_a_crash_left_count(store: FaultyStore) -> None:
    learn(open_with(store), "one", "two")
    abandoned = store.get(next(item.key for item in store.list_objects("") if "/journal/" in item.key))
    writer = open_with(store, every_bytes=len(abandoned) + 1)
    assert tags(writer) == []
    learn(writer, "three")
    assert len(tags(writer)) == 1


def test_the_wait_and_the_count_go_on_in_the_next_process(store: FaultyStore) -> None:
    clock = FakeClock()
    writer = open_with(store, clock, every_s=3600, every_observations=3)
    learn(writer, "one", "two")
    writer.keep_time()
    writer.close()
    clock.pass_(3600)
    writer = open_with(store, clock, every_s=3600, every_observations=3)
    assert writer._owner.life.unsaved.count == 2
    writer.keep_time()
    assert len(tags(writer)) == 1
    learn(writer, "three", "four")
    writer.close()
    writer = open_with(store, clock, every_observations=3)
    learn(writer, "five")
    assert len(tags(writer)) == 2


def test_a_version_that_cannot_be_stored_costs_no_caller_anything(
    store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    writer = open_with(store, every_observations=2)
    learn(writer, "one")
    store.hook = failing("put", "blobs/")
    with caplog.at_level(logging.WARNING):
        learn(writer, "two: a secret")
    assert "WriteCheckpoint failed (STORAGE_UNAVAILABLE)" in caplog.text
    assert "secret" not in caplog.text
    assert writer.is_usable
    learn(writer, "three")
    assert tags(writer) == []
    learn(writer, "four")
    assert tags(writer) == [f"auto-{writer.epoch}-2"]
    assert writer.stats().observation_count == 4


def test_a_head_that_cannot_be_published_ends_the_writer_and_loses_nothing(store: FaultyStore) -> None:
    clock = FakeClock()
    writer = open_with(store, clock, every_s=1)
    learn(writer, "one")
    writer.keep_time()
    clock.pass_(1)
    store.hook = failing("create_if_absent", "/heads/")
    with pytest.raises(Unavailable):
        writer.keep_time()
    assert not writer.is_usable
    assert open_with(store).stats().observation_count == 1


def test_reads_are_answered_while_a_version_is_stored(store: FaultyStore) -> None:
    is_storing, may_go_on = threading.Event(), threading.Event()

    def pause(effect: Effect) -> None:
        if isinstance(effect, WriteCheckpoint):
            is_storing.set()
            assert may_go_on.wait(60)

    rhythm = CheckpointRhythm(every_observations=1)
    writer = MemoryWriter.open(store, NAME, WriterSettings(rhythm=rhythm, on_effect=pause))
    learner = threading.Thread(target=learn, args=(writer, "one"))
    learner.start()
    assert is_storing.wait(60)
    assert writer.infer(tiny_text("one")).patterns
    assert writer.surprise([tiny_text("one")])[0].score < 1.0
    assert tags(writer) == []
    may_go_on.set()
    learner.join(60)
    assert tags(writer) == [f"auto-{writer.epoch}-1"]


def test_what_was_forgotten_leaves_the_versions_that_nobody_asked_for(store: FaultyStore) -> None:
    writer = open_with(store, every_observations=2)
    learn(writer, "Balthazar eats at noon.", "The lease ends in June.")
    writer.checkpoint(Tag("mine"))
    learn(writer, "Rain is forecast.", "Basalt cools fast.")
    selection = ForgetSelection(subject="Balthazar")
    receipt = writer.forget(selection, [tiny_text(text) for text in writer.texts_to_forget(selection)])
    assert receipt.checkpoints_holding == ("mine",)
    assert tags(writer) == ["mine"]
    Volume(store).delete_checkpoint(NAME, Tag("mine"))
    Volume(store).collect_garbage(0.0, is_dry_run=False)
    holding = [item.key for item in store.list_objects(keys.BLOBS) if b"Balthazar" in store.get(item.key)]
    assert holding == []
