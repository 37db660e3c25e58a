"""MemoryWriter: what is answered, what is kept, what is written."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from memory_core import engine
from memory_core.errors import Conflict, CorruptData, Fenced, LearningFailed, NotFound, Saturated, Unavailable
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.lifecycle.effects import AdoptState, ComputeConsolidation, Effect
from memory_core.lifecycle.machine import JournalLimits
from memory_core.progress import Progress
from memory_core.results import ObserveOptions, ObserveResult
from memory_core.storage.object_store import ObjectStore
from memory_core.testing.faulty_store import FaultyStore, Moment, Operation, failing, flip_bit
from memory_core.testing.small_memory import tiny_config, tiny_observations, tiny_text
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

OpenWriter = Callable[..., MemoryWriter]
NAME = MemoryName("m")


def learn(writer: MemoryWriter, *texts: str, request_id: str | None = None) -> ObserveResult:
    options = ObserveOptions(request_id=None if request_id is None else RequestId(request_id))
    return writer.observe(tiny_observations(*texts), options)


def written_keys(store: FaultyStore) -> list[str]:
    """From now on, collect the keys of what is written."""
    written: list[str] = []

    def note(operation: Operation) -> None:
        if operation.is_write and operation.moment is Moment.AFTER:
            written.append(operation.key)

    store.hook = note
    return written


def all_keys(store: ObjectStore, part: str = "") -> list[str]:
    return [item.key for item in store.list_objects("") if part in item.key]


def test_a_request_learned_before_a_crash_is_learned_once_after_it(open_writer: OpenWriter) -> None:
    first = learn(open_writer(), "one", "two", request_id="r")
    again = learn(open_writer(), "one", "two", request_id="r")
    assert again.is_replayed_answer
    assert (again.outcomes, again.capacity_used, again.observation_count) == (
        first.outcomes,
        first.capacity_used,
        first.observation_count,
    )


def test_first_answers_survive_folds_and_restores(open_writer: OpenWriter) -> None:
    writer = open_writer()
    writer.checkpoint(Tag("empty"))
    first = learn(writer, "one", request_id="r")
    writer.checkpoint(Tag("v1"))
    writer.restore(Tag("empty"))
    writer.close()
    again = learn(open_writer(), "one", request_id="r")
    assert (again.is_replayed_answer, again.outcomes) == (True, first.outcomes)


def test_a_request_id_with_other_content_is_refused_also_after_a_crash(open_writer: OpenWriter) -> None:
    learn(open_writer(), "one", request_id="r")
    with pytest.raises(Conflict) as raised:
        learn(open_writer(), "two", request_id="r")
    assert raised.value.code == "IDEMPOTENCY_MISMATCH"


def test_recovery_replays_to_the_same_bits(open_writer: OpenWriter) -> None:
    writer = open_writer()
    for number in range(6):
        learn(writer, f"fact {number}", f"and {number}")
    before = writer.stats()
    after = open_writer().stats()
    assert (after.weight_hash, after.seq, after.observation_count) == (before.weight_hash, 12, 12)
    assert after.epoch == before.epoch + 1


def test_a_long_journal_is_folded_without_a_tag_of_its_own(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer(JournalLimits(records=3))
    sizes = []
    for number in range(24):
        learn(writer, f"fact {number}")
        sizes.append(len(all_keys(store)))
    assert writer.stats().checkpoint_tags == ()
    assert max(sizes[12:]) <= max(sizes[:12]) + 1
    assert len(list(open_writer(JournalLimits(records=3))._memory.files.journal_after(writer._memory.head))) < 3


def test_a_byte_limit_folds_too(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer(JournalLimits(size_bytes=2_000))
    for number in range(12):
        learn(writer, f"fact {number} {'x' * 300}")
    assert all_keys(store, "/state/")


def test_closing_folds_so_that_the_next_open_replays_nothing(open_writer: OpenWriter) -> None:
    writer = open_writer()
    learn(writer, "one")
    writer.close()
    writer.close()
    reopened = open_writer()
    assert reopened._owner.life.snapshot_seq == reopened._owner.life.applied_seq == 1


def test_a_closed_writer_takes_no_calls(open_writer: OpenWriter) -> None:
    writer = open_writer()
    writer.close()
    for call in (lambda: learn(writer, "one"), writer.stats, lambda: writer.infer(tiny_text("one"))):
        with pytest.raises(Unavailable):
            call()


def test_the_older_of_two_writers_is_fenced_at_its_next_write(open_writer: OpenWriter) -> None:
    older = open_writer()
    learn(older, "one")
    newer = open_writer()
    calls: list[Callable[[], Any]] = [
        lambda: learn(older, "two"),
        lambda: older.checkpoint(Tag("v1")),
        older.consolidate,
        older.stats,
    ]
    for call in calls:
        with pytest.raises(Fenced):
            call()
    older.close()
    learn(newer, "three")
    assert open_writer().stats().observation_count == 2


def test_a_fenced_writer_does_not_even_repeat_an_answer(open_writer: OpenWriter) -> None:
    older = open_writer()
    learn(older, "one", request_id="r")
    open_writer()
    with pytest.raises(Fenced):
        learn(older, "one", request_id="r")
    assert not older.is_usable


def test_a_deleted_memory_fences_its_writer_and_cannot_be_opened(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    Volume(store).delete(NAME)
    with pytest.raises(Fenced):
        learn(writer, "one")
    with pytest.raises(NotFound):
        open_writer()


def test_a_deleted_name_leaves_nothing_but_shared_blobs(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    learn(writer, "one")
    writer.checkpoint(Tag("v1"))
    writer.close()
    Volume(store).delete(NAME)
    assert all(key.startswith("blobs/") for key in all_keys(store))


def test_a_fork_writes_no_tensors(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    learn(writer, "one")
    writer.checkpoint(Tag("v1"))
    written = written_keys(store)
    writer.fork(Tag("v1"), MemoryName("child"))
    assert written
    assert not [key for key in written if key.startswith("blobs/") or "/state/" in key]


def test_a_checkpoint_of_an_unchanged_state_writes_no_tensors(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    learn(writer, "one")
    writer.checkpoint(Tag("v1"))
    written = written_keys(store)
    writer.checkpoint(Tag("v2"))
    writer.restore(Tag("v1"))
    writer.checkpoint(Tag("v3"))
    assert not [key for key in written if key.startswith("blobs/")]


def test_a_restore_warns_when_more_than_a_hundred_observations_are_lost(open_writer: OpenWriter) -> None:
    writer = open_writer()
    writer.checkpoint(Tag("v1"))
    learn(writer, *[f"fact {number}" for number in range(100)])
    assert writer.restore(Tag("v1")).warning is None
    learn(writer, *[f"fact {number}" for number in range(101)])
    restored = writer.restore(Tag("v1"))
    assert restored.observations_lost == 101
    assert restored.warning is not None
    assert "101" in restored.warning


def test_restoring_forward_to_a_version_of_an_abandoned_branch_counts_what_is_lost(open_writer: OpenWriter) -> None:
    writer = open_writer()
    learn(writer, "a")
    writer.checkpoint(Tag("first"))
    learn(writer, "b", "c")
    writer.checkpoint(Tag("second"))
    assert writer.restore(Tag("first")).observations_lost == 2
    learn(writer, "d")
    restored = open_writer().restore(Tag("second"))
    assert restored.observations_lost == 1
    assert open_writer().stats().observation_count == 3


def test_a_refused_request_is_refused_alike_after_a_crash_and_changes_nothing(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    Volume(store).delete(NAME)
    Volume(store).create(NAME, tiny_config(units=2, saturation="refuse"))
    writer = open_writer()
    learn(writer, "one", "two")
    before = writer.stats()
    for reopens in (False, False, True):
        with pytest.raises(Saturated):
            learn(open_writer() if reopens else writer, "three", request_id="full")
    after = open_writer().stats()
    assert (after.weight_hash, after.observation_count) == (before.weight_hash, before.observation_count)


class Breaks:
    """An observe that breaks on one text, as a bug in the learning step would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_broken = True
        self._observe = engine.observe
        monkeypatch.setattr(engine, "observe", self)

    def __call__(self, state: Any, batch: Any, **options: Any) -> Any:
        if self.is_broken and "poison" in [item.observation.text for item in batch]:
            raise RuntimeError("a bug")
        return self._observe(state, batch, **options)


def test_a_record_that_breaks_learning_is_left_out_for_ever(
    open_writer: OpenWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer()
    learn(writer, "one")
    breaks = Breaks(monkeypatch)
    with pytest.raises(LearningFailed):
        learn(writer, "poison", request_id="p")
    with pytest.raises(Unavailable):
        learn(writer, "two")
    second = open_writer()
    learn(second, "two")
    breaks.is_broken = False
    before = second.stats()
    third = open_writer()
    assert before.observation_count == third.stats().observation_count == 2
    assert before.weight_hash == third.stats().weight_hash
    with pytest.raises(LearningFailed):
        learn(third, "poison", request_id="p")


def test_a_step_that_is_not_finite_leaves_no_pattern_behind(
    open_writer: OpenWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer()
    learn(writer, "one")
    before = writer.stats()

    def overflow(*_: object) -> None:
        raise LearningFailed("A step is not a finite number.")

    monkeypatch.setattr(type(writer._memory.state.network), "update", overflow)
    with pytest.raises(LearningFailed):
        learn(writer, "two", request_id="t")
    monkeypatch.undo()
    after = open_writer().stats()
    assert (after.pattern_count, after.weight_hash) == (before.pattern_count, before.weight_hash)


@pytest.mark.parametrize("moment", list(Moment))
def test_an_observe_whose_append_failed_is_learned_once_when_repeated(
    open_writer: OpenWriter, store: FaultyStore, moment: Moment
) -> None:
    writer = open_writer()
    learn(writer, "one")
    store.hook = failing("append", "journal", moment)
    with pytest.raises(Unavailable) as raised:
        learn(writer, "two", request_id="r")
    assert raised.value.retryable
    assert not writer.is_usable
    reopened = open_writer()
    learn(reopened, "two", request_id="r")
    assert reopened.stats().observation_count == 2


def test_a_torn_append_is_cut_and_the_journal_goes_on(open_writer: OpenWriter, store: FaultyStore) -> None:
    if not store.segments_grow:
        pytest.skip("objects are whole or absent")
    writer = open_writer()
    learn(writer, "one")
    store.tear = lambda operation: 50
    with pytest.raises(Unavailable):
        learn(writer, "two")
    store.tear = None
    for text in ("three", "four"):
        learn(open_writer(), text)
    assert open_writer().stats().observation_count == 3


def test_a_failed_cleanup_is_not_the_callers_concern(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    store.hook = failing("delete", "", times=99)
    writer.checkpoint(Tag("v1"))
    learn(writer, "one")
    assert writer.is_usable


def test_a_checkpoint_that_could_not_be_written_leaves_the_writer_in_service(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    writer = open_writer()
    learn(writer, "one")
    store.hook = failing("put", "blobs")
    with pytest.raises(Unavailable):
        writer.checkpoint(Tag("v1"))
    assert writer.checkpoint(Tag("v1")).observation_count == 1


def test_a_damaged_checkpoint_is_refused_and_the_current_state_stays(
    open_writer: OpenWriter, store: FaultyStore
) -> None:
    writer = open_writer()
    learn(writer, "one")
    writer.checkpoint(Tag("v1"))
    learn(writer, "two")
    for key in all_keys(store, "blobs/"):
        flip_bit(store, key, 1_234)
    with pytest.raises(CorruptData):
        writer.restore(Tag("v1"))
    assert writer.stats().observation_count == 2


def test_a_damaged_snapshot_is_never_served(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    learn(writer, "one")
    writer.close()
    newest = [key for key in all_keys(store, "/state/") if "patterns" in key]
    flip_bit(store, newest[-1], 8 * 2_000)
    with pytest.raises(CorruptData) as raised:
        open_writer()
    assert raised.value.context["key"] == newest[-1]


def test_two_equal_requests_in_one_group_are_learned_once(open_writer: OpenWriter) -> None:
    from memory_core.group_commit import Waiting
    from memory_core.observe_request import accept_observe

    writer = open_writer()
    options = ObserveOptions(request_id=RequestId("r"))
    group: list[Any] = [
        Waiting(accept_observe(writer.config, tiny_observations(text), options)) for text in ("one", "one", "two")
    ]
    writer._commit(group)
    assert [waiting.result().is_replayed_answer for waiting in group[:2]] == [False, True]
    with pytest.raises(Conflict):
        group[2].result()
    assert writer.stats().observation_count == 1


def test_a_group_is_one_append_and_replays_as_it_was_applied(open_writer: OpenWriter, store: FaultyStore) -> None:
    from memory_core.group_commit import Waiting
    from memory_core.observe_request import accept_observe

    writer = open_writer()
    written = written_keys(store)
    group: list[Any] = [
        Waiting(accept_observe(writer.config, tiny_observations(f"fact {number}"), ObserveOptions()))
        for number in range(20)
    ]
    writer._commit(group)
    assert len([key for key in written if "journal" in key]) == 1
    assert [waiting.result().outcomes[0].seq for waiting in group] == list(range(1, 21))
    assert open_writer().stats().weight_hash == writer._memory.state.weight_hash()


def test_a_cancelled_consolidation_leaves_the_memory_as_it_was(store: FaultyStore) -> None:
    def cancel_it(effect: Effect) -> None:
        if isinstance(effect, ComputeConsolidation):
            writer.cancel("run")

    writer = MemoryWriter.open(store, NAME, WriterSettings(on_effect=cancel_it))
    learn(writer, "one", "two")
    before = writer.stats()
    with pytest.raises(Conflict) as raised:
        writer.consolidate(engine.ConsolidationPlan(steps=5), run_id="run")
    assert raised.value.code == "CANCELLED"
    assert writer.stats() == before
    assert writer.progress("run") is None
    assert writer.consolidate(engine.ConsolidationPlan(steps=5), run_id="another").held_out == 1


def test_how_far_a_consolidation_is_can_be_seen_while_it_works(store: FaultyStore) -> None:
    seen: list[Progress | None] = []

    def look(effect: Effect) -> None:
        if isinstance(effect, ComputeConsolidation | AdoptState):
            seen.append(writer.progress("run"))

    writer = MemoryWriter.open(store, NAME, WriterSettings(on_effect=look))
    learn(writer, "one", "two")
    writer.consolidate(run_id="run")
    assert seen == [Progress(fraction=0.0, phase="waiting"), Progress(fraction=0.98, phase="measuring")]


def test_a_closed_writer_keeps_nothing_of_its_state_alive(open_writer: OpenWriter) -> None:
    writer = open_writer()
    learn(writer, "one", "two")
    state = weakref.ref(writer._memory.state)
    gc.disable()  # a cycle would hold it until a collection, and a host would take its room for free
    try:
        writer.close()
        assert state() is None
    finally:
        gc.enable()


def test_an_error_that_ends_a_writer_tells_the_last_events(open_writer: OpenWriter, store: FaultyStore) -> None:
    writer = open_writer()
    store.hook = failing("append", "journal")
    with pytest.raises(Unavailable) as failed:
        learn(writer, "one")
    with pytest.raises(Unavailable) as ended:
        learn(writer, "one")
    for raised in (failed, ended):
        assert str(raised.value.context["story"]).split()[-2:] == ["ObserveAccepted", "EffectFailed"]
    first = open_writer()
    open_writer()
    with pytest.raises(Fenced) as fenced:
        learn(first, "one")
    assert str(fenced.value.context["story"]).split()[-1] == "NewerEpochSeen"
