"""When a version is due without anybody asking, decided by the machine alone."""

import pytest

from memory_core.errors import InvalidInput
from memory_core.ids import Seq, Tag
from memory_core.lifecycle import effects as do
from memory_core.lifecycle import events as on
from memory_core.lifecycle.effects import Effect, HeadKind
from memory_core.lifecycle.machine import JournalLimits, Life, Phase, step
from memory_core.lifecycle.rhythm import CheckpointRhythm, Unsaved
from tests.unit.lifecycle.test_machine import names, run

VERSION = [
    "WriteCheckpoint",
    "VerifyEpoch",
    "PublishCheckpoint",
    "PublishHead",
    "VerifyEpoch",
    "PruneStorage",
    "PruneVersions",
]


def serving(**rules: float) -> Life:
    """A writer that recovered two observations, at positions 11 and 12, that no version holds."""
    rhythm = CheckpointRhythm(**rules)  # type: ignore[arg-type]
    return run(Life(limits=JournalLimits(), rhythm=rhythm), on.OpenRequested())[0]


def observe(life: Life, count: int = 1) -> tuple[Life, list[Effect]]:
    first = Seq(life.appended_seq + 1)
    return run(life, on.ObserveAccepted(first, Seq(first + count - 1)))


def tag_of(effects: list[Effect]) -> Tag:
    return next(effect.tag for effect in effects if isinstance(effect, do.WriteCheckpoint))


def test_a_version_is_published_after_so_many_observations_and_after_the_answer() -> None:
    life, effects = observe(serving(every_observations=5), 2)
    assert names(effects)[-1] == "AnswerGroup"
    life, effects = observe(life)
    assert names(effects) == ["AppendFrame", "VerifyEpoch", "ApplyGroup", "AnswerGroup", *VERSION]
    assert tag_of(effects) == "auto-3-1"
    assert (life.unsaved, life.snapshot_seq, life.journal_records) == (Unsaved(), 15, 0)
    assert names(observe(life, 4)[1])[-1] == "AnswerGroup"


def test_a_version_is_published_after_so_many_bytes_of_journal_also_of_the_recovered_one() -> None:
    life, effects = observe(serving(every_bytes=2_500))
    assert names(effects)[-1] == "AnswerGroup"
    assert names(observe(life)[1])[4:] == VERSION


def test_a_version_is_published_when_something_has_waited_for_long() -> None:
    life, effects = run(serving(every_s=60), on.TimePassed(1_000.0))
    assert effects == []
    life, effects = run(life, on.TimePassed(1_059.0))
    assert (effects, life.unsaved.since_s) == ([], 1_000.0)
    life, effects = run(life, on.TimePassed(1_060.0))
    assert names(effects) == VERSION
    assert run(life, on.TimePassed(9_000.0)) == (life.__class__(**_fields(life, "TimePassed")), [])


def _fields(life: Life, event: str) -> dict[str, object]:
    fields = {name: getattr(life, name) for name in Life.__dataclass_fields__}
    return {**fields, "story": (*life.story, event)[-16:]}


def test_without_a_rule_none_is_ever_published() -> None:
    life, effects = observe(serving(), 1_000)
    assert names(effects)[-1] == "AnswerGroup"
    life, _ = run(life, on.TimePassed(0.0))
    assert run(life, on.TimePassed(1e12))[1] == []


def test_a_version_that_somebody_asked_for_counts_too() -> None:
    life, _ = run(serving(every_observations=3), on.CheckpointRequested(Tag("v1")))
    assert names(observe(life, 2)[1])[-1] == "AnswerGroup"
    partial, _ = run(serving(every_observations=3), on.CheckpointRequested(Tag("v1"), include_momentum=False))
    assert names(observe(partial)[1])[4:] == VERSION


@pytest.mark.parametrize("position", [4, 6])
def test_a_version_that_failed_is_tried_again_after_as_much_more(position: int) -> None:
    ready = serving(every_observations=3)
    life, _ = run(ready, on.ObserveAccepted(Seq(13), Seq(13)), stop_at=position)
    life, effect = step(life, on.EffectFailed())
    assert (effect, life.phase, life.unsaved.count) == (None, Phase.SERVING, 3)
    life, effects = observe(life, 2)
    assert names(effects)[-1] == "AnswerGroup"
    _, effects = observe(life)
    assert names(effects)[4:] == VERSION
    assert tag_of(effects) == "auto-3-2"


def test_a_version_by_time_that_failed_is_tried_again_after_as_long() -> None:
    life, _ = run(serving(every_s=60), on.TimePassed(0.0))
    life, _ = step(life, on.TimePassed(60.0))
    life, _ = step(life, on.EffectFailed())
    assert run(life, on.TimePassed(119.0))[1] == []
    assert names(run(life, on.TimePassed(120.0))[1]) == VERSION


def test_heads_say_what_no_version_holds() -> None:
    life = serving(every_s=60)
    told = {
        HeadKind.SNAPSHOT: run(life, on.CloseRequested())[1],
        HeadKind.CHECKPOINT: run(life, on.CheckpointRequested(Tag("v1")))[1],
    }
    counts = {kind: _published(effects).unsaved.count for kind, effects in told.items()}
    assert counts == {HeadKind.SNAPSHOT: 2, HeadKind.CHECKPOINT: 0}
    replacing = [on.RestoreRequested(Tag("v1")), on.ConsolidateRequested(), on.RollbackRequested(Seq(11))]
    assert [_published(run(life, request)[1]).unsaved.count for request in replacing] == [0, 3, 3]


def _published(effects: list[Effect]) -> do.PublishHead:
    return next(effect for effect in effects if isinstance(effect, do.PublishHead))


def test_a_failed_pruning_of_versions_is_no_failure() -> None:
    life, _ = run(serving(every_observations=3), on.ObserveAccepted(Seq(13), Seq(13)), stop_at=9)
    life, effect = step(life, on.EffectFailed())
    assert effect == do.PruneVersions()
    assert step(life, on.EffectFailed())[0].phase is Phase.SERVING


@pytest.mark.parametrize("rule", ["every_observations", "every_bytes", "every_s"])
def test_a_rule_of_nothing_is_refused(rule: str) -> None:
    with pytest.raises(InvalidInput):
        CheckpointRhythm(**{rule: 0})
