"""Back to any position that the journal reaches, with or without a version there."""

from collections.abc import Callable
from typing import Any

import pytest

from memory_core.errors import InvalidInput, NotFound
from memory_core.group_commit import Waiting
from memory_core.ids import Seq, Tag
from memory_core.lifecycle.machine import JournalLimits
from memory_core.observe_request import accept_observe
from memory_core.results import ForgetSelection, ObserveOptions
from memory_core.testing.faulty_store import FaultyStore
from memory_core.testing.small_memory import tiny_observations, tiny_text
from memory_core.writer import MemoryWriter

OpenWriter = Callable[..., MemoryWriter]


def learn(writer: MemoryWriter, *texts: str) -> str:
    writer.observe(tiny_observations(*texts))
    return hash_of(writer)


def hash_of(writer: MemoryWriter) -> str:
    return writer._memory.state.weight_hash()


def learn_days(writer: MemoryWriter, count: int) -> list[str]:
    """The hash at each position 0..count."""
    return [hash_of(writer), *[learn(writer, f"day {number}") for number in range(count)]]


@pytest.mark.parametrize("seq", range(7))
def test_every_position_comes_back_bit_for_bit_and_goes_on(open_writer: OpenWriter, seq: int) -> None:
    writer = open_writer()
    hashes = learn_days(writer, 6)
    back = writer.rollback(Seq(seq))
    assert (back.seq, back.weight_hash, back.observations_lost) == (seq, hashes[seq], 6 - seq)
    for number in range(seq, 6):
        learn(writer, f"day {number}")
    assert hash_of(writer) == hash_of(open_writer()) == hashes[6]


def test_a_rollback_reaches_across_the_newest_fold_and_checkpoint(open_writer: OpenWriter) -> None:
    writer = open_writer(JournalLimits(records=4))
    hashes = learn_days(writer, 6)
    assert writer._memory.head.snapshot.seq == 4
    assert writer.rollback(Seq(2)).weight_hash == hashes[2]
    learn(writer, "other day 2")
    writer.checkpoint(Tag("v1"))
    after = learn(writer, "other day 3")
    reopened = open_writer()
    assert hash_of(reopened) == after
    assert reopened.rollback(Seq(2)).weight_hash == hashes[2]


def test_a_position_that_the_journal_does_not_reach_is_not_found_and_nothing_changes(open_writer: OpenWriter) -> None:
    writer = open_writer(JournalLimits(records=2))
    hashes = learn_days(writer, 8)
    with pytest.raises(NotFound) as raised:
        writer.rollback(Seq(1))
    assert raised.value.code == "SEQ_NOT_IN_JOURNAL"
    with pytest.raises(InvalidInput):
        writer.rollback(Seq(9))
    assert writer.is_usable
    assert hash_of(writer) == hashes[8]


def test_a_position_of_an_abandoned_branch_is_not_mistaken_for_this_one(open_writer: OpenWriter) -> None:
    writer = open_writer()
    learn(writer, "a")
    writer.checkpoint(Tag("one"))
    learn(writer, "b")
    learn(writer, "c")
    writer.restore(Tag("one"))
    expected = learn(writer, "x")
    learn(writer, "y")
    learn(writer, "z")
    assert writer.rollback(Seq(2)).weight_hash == expected


def test_what_was_forgotten_does_not_come_back(open_writer: OpenWriter) -> None:
    writer = open_writer()
    learn(writer, "keep this")
    learn(writer, "the secret")
    selection = ForgetSelection(subject="the secret")
    writer.forget(selection, [tiny_text(text) for text in writer.texts_to_forget(selection)])
    learn(writer, "later")
    with pytest.raises(NotFound):
        writer.rollback(Seq(1))
    assert writer.rollback(Seq(2)).observations_lost == 1
    assert "the secret" not in [item.text for slot in writer._memory.state.bank.exemplars for item in slot]


def test_a_position_inside_a_group_and_inside_a_request(open_writer: OpenWriter) -> None:
    writer = open_writer()
    learn(writer, "a")
    group: list[Any] = [
        Waiting(accept_observe(writer.config, tiny_observations(*texts), ObserveOptions()))
        for texts in (("b", "c"), ("d", "e"))
    ]
    writer._commit(group)
    back = writer.rollback(Seq(4))
    assert back.observations_lost == 1
    stats = writer.stats()
    assert (stats.seq, stats.observation_count, stats.weight_hash) == (4, 4, back.weight_hash)
    assert open_writer().stats().weight_hash == back.weight_hash


def test_a_rollback_over_a_hundred_observations_warns(open_writer: OpenWriter) -> None:
    writer = open_writer()
    writer.observe(tiny_observations(*[f"fact {number}" for number in range(101)]))
    assert writer.rollback(Seq(1)).warning is None
    writer.observe(tiny_observations(*[f"more {number}" for number in range(101)]))
    warning = writer.rollback(Seq(1)).warning
    assert warning is not None
    assert "101" in warning


def test_a_stale_writers_leftovers_are_never_replayed(open_writer: OpenWriter, store: FaultyStore) -> None:
    old = open_writer()
    learn(old, "a")
    new = open_writer()
    with pytest.raises(Exception, match="took over"):
        learn(old, "left over")
    second = learn(new, "b")
    learn(new, "c")
    assert new.rollback(Seq(2)).weight_hash == second
