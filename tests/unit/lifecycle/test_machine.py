"""The lifecycle machine alone: which effects follow which event."""

import pytest

from memory_core.errors import Internal
from memory_core.ids import Epoch, Seq, Tag
from memory_core.lifecycle import effects as do
from memory_core.lifecycle import events as on
from memory_core.lifecycle.effects import COMPLETED_BY, SURVIVABLE, Effect, HeadKind
from memory_core.lifecycle.machine import JournalLimits, Life, Phase, step, validate


def completion(effect: Effect, life: Life) -> on.Completion:
    """What a successful performance of the effect reports."""
    match effect:
        case do.ClaimEpoch():
            return on.EpochClaimed(Epoch(3))
        case do.RecoverMemory():
            return on.MemoryRecovered(Seq(10), Seq(12), 2, 600)
        case do.AppendFrame():
            return on.FrameAppended(1_000)
        case do.PublishHead(kind):
            return on.HeadPublished(life.snapshot_seq if kind is HeadKind.SEAL else life.applied_seq)
        case do.AdoptState():
            return on.StateAdopted(Seq(5))
    return COMPLETED_BY[type(effect)]()


def run(life: Life, request: on.Request, stop_at: int | None = None) -> tuple[Life, list[Effect]]:
    """Complete the plan of a request (or its first ``stop_at`` effects); the effects in order."""
    performed: list[Effect] = []
    life, effect = step(life, request)
    while effect is not None and len(performed) != stop_at:
        performed.append(effect)
        life, effect = step(life, completion(effect, life))
    return life, performed


def serving(limits: JournalLimits | None = None) -> Life:
    return run(Life(limits=limits or JournalLimits()), on.OpenRequested())[0]


REQUESTS: list[on.Request] = [
    on.ObserveAccepted(Seq(13), Seq(15)),
    on.CheckpointRequested(Tag("v1")),
    on.RestoreRequested(Tag("v1")),
    on.ConsolidateRequested(),
    on.ForgetRequested(),
    on.CloseRequested(),
    on.CloseRequested(must_fold=False),
]


def names(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def test_opening_claims_before_it_reads_and_seals_before_it_serves() -> None:
    life, effects = run(Life(), on.OpenRequested())
    assert names(effects) == ["ClaimEpoch", "RecoverMemory", "PublishHead", "VerifyEpoch"]
    assert effects[2] == do.PublishHead(HeadKind.SEAL)
    assert (life.phase, life.epoch, life.snapshot_seq, life.applied_seq) == (Phase.SERVING, 3, 10, 12)


def test_an_observation_is_durable_and_verified_before_it_is_applied_and_answered() -> None:
    life, effects = run(serving(), on.ObserveAccepted(Seq(13), Seq(15)))
    assert names(effects) == ["AppendFrame", "VerifyEpoch", "ApplyGroup", "AnswerGroup"]
    assert (life.applied_seq, life.appended_seq, life.journal_records) == (15, 15, 5)


def test_a_journal_over_its_limit_is_folded_after_the_answer() -> None:
    life, effects = run(serving(JournalLimits(records=5)), on.ObserveAccepted(Seq(13), Seq(15)))
    assert names(effects)[3:] == ["AnswerGroup", "PublishHead", "VerifyEpoch", "PruneStorage"]
    assert (life.snapshot_seq, life.journal_records, life.journal_bytes) == (15, 0, 0)


def test_a_journal_over_its_byte_limit_is_folded_too() -> None:
    _, effects = run(serving(JournalLimits(size_bytes=1_000)), on.ObserveAccepted(Seq(13), Seq(13)))
    assert HeadKind.SNAPSHOT in [effect.kind for effect in effects if isinstance(effect, do.PublishHead)]


def test_a_long_journal_found_at_opening_is_folded_at_once() -> None:
    life, effects = run(Life(limits=JournalLimits(records=2)), on.OpenRequested())
    assert names(effects)[3:] == ["VerifyEpoch", "PublishHead", "VerifyEpoch", "PruneStorage"]
    assert not life.is_dirty


def test_a_tag_is_published_between_two_looks_at_the_epoch() -> None:
    _, effects = run(serving(), on.CheckpointRequested(Tag("v1")))
    assert names(effects) == [
        "WriteCheckpoint",
        "VerifyEpoch",
        "PublishCheckpoint",
        "PublishHead",
        "VerifyEpoch",
        "PruneStorage",
    ]


@pytest.mark.parametrize("request_", [on.RestoreRequested(Tag("v1")), on.ConsolidateRequested()])
def test_another_state_is_adopted_only_after_its_head_is_durable_and_verified(request_: on.Request) -> None:
    life, effects = run(serving(), request_)
    assert names(effects)[1:] == ["PublishHead", "VerifyEpoch", "AdoptState", "PruneStorage"]
    assert (life.snapshot_seq, life.applied_seq, life.appended_seq) == (5, 5, 5)


def test_closing_folds_only_what_is_not_in_a_snapshot() -> None:
    dirty = serving()
    clean, _ = run(dirty, on.CheckpointRequested(Tag("v1")))
    assert names(run(dirty, on.CloseRequested())[1])[0] == "PublishHead"
    assert names(run(clean, on.CloseRequested())[1]) == ["ReleaseJournal"]
    assert names(run(dirty, on.CloseRequested(must_fold=False))[1]) == ["ReleaseJournal"]
    assert run(clean, on.CloseRequested())[0].phase is Phase.CLOSED


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_newer_epoch_ends_the_writer_at_any_effect(request_: on.Request) -> None:
    _, effects = run(serving(), request_)
    for position in range(len(effects)):
        life, _ = run(serving(), request_, stop_at=position)
        fenced, effect = step(life, on.NewerEpochSeen())
        assert (fenced.phase, fenced.plan, effect) == (Phase.FENCED, (), None)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_failed_effect_ends_the_writer_unless_it_changed_nothing_that_counts(request_: on.Request) -> None:
    _, effects = run(serving(), request_)
    for position, failed in enumerate(effects):
        life, _ = run(serving(), request_, stop_at=position)
        after, _ = step(life, on.EffectFailed())
        assert (after.phase is Phase.FAILED) == (type(failed) not in SURVIVABLE)


def test_a_failed_fold_is_not_survivable_but_a_failed_prune_is() -> None:
    assert do.PublishHead not in SURVIVABLE
    assert do.AppendFrame not in SURVIVABLE
    assert do.PruneStorage in SURVIVABLE


def test_a_failed_prune_does_not_keep_a_writer_from_closing() -> None:
    life, _ = run(serving(), on.CloseRequested(), stop_at=2)
    life, effect = step(life, on.EffectFailed())
    assert effect == do.ReleaseJournal()
    assert step(life, on.JournalReleased())[0].phase is Phase.CLOSED


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_refused_while_another_one_is_under_way(request_: on.Request) -> None:
    life, _ = step(serving(), on.ConsolidateRequested())
    with pytest.raises(Internal):
        step(life, request_)


@pytest.mark.parametrize("request_", REQUESTS)
def test_an_ended_writer_takes_no_request(request_: on.Request) -> None:
    for ended in (step(serving(), on.NewerEpochSeen())[0], run(serving(), on.CloseRequested())[0], Life()):
        with pytest.raises(Internal):
            step(ended, request_)


def test_a_completion_of_another_effect_is_refused_with_the_story() -> None:
    life, _ = step(serving(), on.ObserveAccepted(Seq(13), Seq(13)))
    with pytest.raises(Internal) as raised:
        step(life, on.GroupApplied())
    story = raised.value.context["story"]
    assert isinstance(story, str)
    assert story.split()[-2:] == ["ObserveAccepted", "GroupApplied"]


@pytest.mark.parametrize(("first", "last"), [(14, 15), (12, 15), (13, 12)])
def test_positions_follow_one_another_without_gap(first: int, last: int) -> None:
    with pytest.raises(Internal):
        step(serving(), on.ObserveAccepted(Seq(first), Seq(last)))


def test_the_story_keeps_the_last_events_only() -> None:
    life = serving()
    for _ in range(20):
        life, _ = run(life, on.ObserveAccepted(Seq(life.appended_seq + 1), Seq(life.appended_seq + 1)))
    assert len(life.story) == 16
    assert life.story[-1] == "GroupAnswered"


def test_validate_names_the_broken_promise() -> None:
    with pytest.raises(Internal, match="snapshot_seq <= applied_seq"):
        validate(Life(snapshot_seq=Seq(2), applied_seq=Seq(1)))
