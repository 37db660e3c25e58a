"""Follower: catches up, writes nothing, serves nothing that is not durable, and hands over without loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memory_core import owned_memory, replay
from memory_core.errors import CorruptData, Fenced, LearningFailed, NotFound, Unavailable
from memory_core.follower import Follower
from memory_core.ids import MemoryName, RequestId, Seq, Tag
from memory_core.learner import BrokeOn, Learner
from memory_core.lifecycle.machine import JournalLimits
from memory_core.results import ForgetSelection, InferOptions, InferResult, ObserveOptions
from memory_core.storage.object_store import ObjectStore
from memory_core.terms import TermsChange
from memory_core.testing.faulty_store import FaultyStore, Moment, Operation
from memory_core.testing.small_memory import tiny_observations, tiny_text
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

OpenWriter = Callable[..., MemoryWriter]
NAME = MemoryName("m")


def learn(writer: MemoryWriter, *texts: str, request_id: str | None = None) -> int:
    options = ObserveOptions(request_id=None if request_id is None else RequestId(request_id))
    return writer.observe(tiny_observations(*texts), options).observation_count


def followed(store: ObjectStore) -> Follower:
    follower = Follower(store, NAME, Volume(store).find(NAME).uid)
    follower.poll()
    return follower


def seq_of(follower: Follower) -> int:
    assert follower.position is not None
    return follower.position.seq


def asked(reader: Follower | MemoryWriter, text: str) -> InferResult:
    return reader.infer(tiny_text(text), InferOptions())


def weights(follower: Follower) -> str:
    assert follower._replay is not None
    return follower._replay.learner.state.weight_hash()


def test_it_catches_up_with_what_was_learned_and_says_how_far_it_is(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    writer = open_writer()
    learn(writer, "one")
    follower = followed(store)
    learn(writer, "two", "three")
    before = asked(follower, "two")
    assert (before.seq, before.served_by) == (1, "standby")
    assert (follower.poll(), follower.poll()) == (True, False)
    after, owners = asked(follower, "two"), asked(writer, "two")
    assert (after.seq, after.served_by, after.patterns) == (3, "standby", owners.patterns)
    assert (owners.seq, owners.served_by) == (3, "owner")
    assert weights(follower) == writer.stats().weight_hash


def test_it_writes_nothing(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer(JournalLimits(records=3))
    follower = followed(store)
    written: list[Operation] = []

    def note(operation: Operation) -> None:
        if operation.is_write:
            written.append(operation)

    for number in range(8):
        learn(writer, f"fact {number}")
        store.hook = note
        follower.poll()
        asked(follower, f"fact {number}")
        store.hook = lambda _: None
    assert written == []
    assert writer.is_usable


def test_the_owner_goes_on_undisturbed(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    epoch = writer.epoch
    follower = followed(store)
    learn(writer, "one")
    follower.poll()
    assert (learn(writer, "two"), writer.epoch) == (2, epoch)


def test_frames_of_a_fenced_writer_are_never_served(open_writer: OpenWriter, store: FaultyStore) -> None:
    zombie = open_writer()
    learn(zombie, "one")
    follower = followed(store)
    successor = open_writer()
    with pytest.raises(Fenced):
        learn(zombie, "what was never acknowledged")
    follower.poll()
    learn(successor, "two")
    follower.poll()
    assert (seq_of(follower), weights(follower)) == (2, successor.stats().weight_hash)
    assert "never acknowledged" not in asked(follower, "what was never acknowledged").response


def test_a_frame_is_not_learned_when_the_memory_is_claimed_while_it_is_read(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    writer = open_writer()
    learn(writer, "one")
    follower = followed(store)
    learn(writer, "two")
    claims: list[MemoryWriter] = []

    def claim(operation: Operation) -> None:
        if operation.method == "get" and "/journal/" in operation.key and not claims:
            store.hook = lambda _: None
            claims.append(open_writer())

    store.hook = claim
    assert not follower.poll()
    assert seq_of(follower) == 1
    assert follower.poll()
    assert weights(follower) == claims[0].stats().weight_hash


def test_what_it_learns_was_made_durable_first(open_writer: OpenWriter, store: FaultyStore) -> None:
    if not store.segments_grow:
        pytest.skip("an object that can be read is durable")
    writer = open_writer()
    follower = followed(store)
    learn(writer, "one")

    def refuse(operation: Operation) -> None:
        if operation.method == "sync":
            raise Unavailable("the disk is away")

    store.hook = refuse
    with pytest.raises(Unavailable):
        follower.poll()
    assert seq_of(follower) == 0
    store.hook = lambda _: None
    follower.poll()
    assert seq_of(follower) == 1


@pytest.mark.parametrize("is_behind", [True, False])
def test_it_survives_folds_and_prunes_beneath_it(
    open_writer: OpenWriter, store: FaultyStore, monkeypatch: pytest.MonkeyPatch, is_behind: bool
) -> None:
    writer = open_writer(JournalLimits(records=4))
    follower = followed(store)
    loads: list[Any] = []
    load = replay.load_state
    monkeypatch.setattr(replay, "load_state", lambda *args, **of: loads.append(args) or load(*args, **of))
    for number in range(24):
        learn(writer, f"fact {number}")
        if not is_behind or number % 9 == 8:
            follower.poll()
    follower.poll()
    assert (seq_of(follower), weights(follower)) == (24, writer.stats().weight_hash)
    assert bool(loads) == is_behind  # a fold of what it knows already costs no reading


def test_objects_pruned_while_it_reads_are_no_damage(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer(JournalLimits(records=2))
    learn(writer, "one")
    pruned: list[int] = []

    def fold_twice(operation: Operation) -> None:
        if operation.method == "get" and "/journal/" in operation.key and not pruned:
            pruned.append(1)
            for number in range(8):
                learn(writer, f"fact {number}")

    follower = Follower(store, NAME, writer.uid)
    store.hook = fold_twice
    follower.poll()
    store.hook = lambda _: None
    follower.poll()
    assert pruned
    assert weights(follower) == writer.stats().weight_hash


def test_a_torn_frame_is_left_until_it_is_whole(open_writer: OpenWriter, store: FaultyStore) -> None:
    if not store.segments_grow:
        pytest.skip("an object is whole or absent")
    writer = open_writer()
    learn(writer, "one")
    follower = followed(store)
    store.tear = lambda _: 20
    with pytest.raises(Unavailable):
        learn(writer, "two")
    store.tear = None
    assert not follower.poll()
    assert seq_of(follower) == 1
    learn(open_writer(), "three")
    follower.poll()
    assert (seq_of(follower), weights(follower)) == (2, open_writer().stats().weight_hash)


def test_states_that_took_anothers_place_are_followed(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    learn(writer, "one", "two")
    writer.checkpoint(Tag("v1"))
    learn(writer, "the password is swordfish")
    follower = followed(store)
    for change in (
        lambda: writer.forget(ForgetSelection(subject="swordfish")),
        lambda: writer.restore(Tag("v1")),
        lambda: learn(writer, "four"),
        lambda: learn(writer, "five"),
        lambda: writer.rollback(Seq(3)),
        lambda: learn(writer, "six"),
        writer.consolidate,
    ):
        change()
        follower.poll()
        stats = writer.stats()
        assert (seq_of(follower), weights(follower)) == (stats.seq, stats.weight_hash)
        assert "swordfish" not in asked(follower, "password swordfish").response


def test_a_takeover_goes_on_from_what_was_followed_and_loses_nothing(
    open_writer: OpenWriter, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer()
    learn(writer, "one", request_id="r1")
    follower = followed(store)
    learn(writer, "two", request_id="r2")  # acknowledged, not followed yet
    expected, epoch = writer.stats().weight_hash, writer.epoch
    for module in (replay, owned_memory):
        monkeypatch.setattr(module, "load_state", lambda *_, **__: pytest.fail("read from storage again"))
    successor = MemoryWriter.open(store, NAME, WriterSettings(begun=follower.take()))
    assert (successor.epoch, successor.seq, successor.stats().weight_hash) == (epoch + 1, 2, expected)
    assert learn(successor, "one", request_id="r1") == 1
    assert learn(successor, "two", request_id="r2") == 2
    assert learn(successor, "three") == 3
    with pytest.raises(Fenced):
        learn(writer, "late")
    monkeypatch.undo()
    expected = successor.stats().weight_hash
    assert open_writer().stats().weight_hash == expected
    assert follower.position is None
    with pytest.raises(Unavailable):
        asked(follower, "one")
    follower.poll()
    assert weights(follower) == expected


def test_a_takeover_with_a_state_that_was_replaced_since_reads_it_anew(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    writer = open_writer()
    learn(writer, "one", "two")
    follower = followed(store)
    writer.consolidate()
    writer.rollback(1)
    expected = writer.stats().weight_hash
    successor = MemoryWriter.open(store, NAME, WriterSettings(begun=follower.take()))
    assert (successor.seq, successor.stats().weight_hash) == (1, expected)


def test_a_takeover_between_two_writers_that_fold(open_writer: OpenWriter, store: FaultyStore) -> None:
    for number in range(12):
        writer = open_writer(JournalLimits(records=5))
        learn(writer, f"fact {number}", f"and {number}")
        follower = followed(store)
        learn(writer, f"more {number}")
        expected = writer.stats().weight_hash
        settings = WriterSettings(begun=follower.take(), limits=JournalLimits(records=5))
        successor = MemoryWriter.open(store, NAME, settings)
        assert successor.stats().weight_hash == expected
        if number % 2:
            successor.close()
    assert open_writer().stats().observation_count == 36


def test_learning_that_breaks_is_followed_as_it_was_marked(
    open_writer: OpenWriter, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer()
    learn(writer, "one")
    follower = followed(store)
    learn_one = Learner.learn_one

    def breaks(self: Any, record: Any) -> Any:
        if record.observations[0].observation.text == "poison":
            raise BrokeOn(record)
        return learn_one(self, record)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "learn_one", breaks)
        with pytest.raises(LearningFailed):
            learn(writer, "poison")
    successor = open_writer()
    learn(successor, "two")
    follower.poll()
    stats = successor.stats()
    assert (seq_of(follower), weights(follower)) == (stats.seq, stats.weight_hash)
    assert stats.observation_count == 2


def test_a_deleted_memory_is_not_found_and_an_expired_one_says_nothing(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    writer = open_writer()
    learn(writer, "one")
    follower = followed(store)
    writer.change(TermsChange(ttl_s=1e-6))
    follower.poll()
    with pytest.raises(NotFound):
        asked(follower, "one")
    Volume(store).delete(NAME)
    with pytest.raises(NotFound):
        follower.poll()


def test_damage_is_told_and_not_served(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    learn(writer, "one")
    learn(writer, "two")
    writer.close(must_fold=False)
    segment = next(item.key for item in store.list_objects("memories/") if "/journal/" in item.key)
    data = store.get(segment)
    store.put(segment, data[:30] + bytes([data[30] ^ 1]) + data[31:])
    follower = Follower(store, NAME, writer.uid)
    with pytest.raises(CorruptData):
        follower.poll()
    assert follower.position is None


def test_a_reader_of_one_frame_at_a_time_reads_no_frame_twice(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    follower = followed(store)
    read: list[str] = []

    def note(operation: Operation) -> None:
        if operation.method == "get" and "/journal/" in operation.key and operation.moment is Moment.BEFORE:
            read.append(operation.key)

    store.hook = note
    for number in range(5):
        learn(writer, f"fact {number}")
        follower.poll()
        follower.poll()
    assert len(read) == 5
