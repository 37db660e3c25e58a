"""Random lives: whatever is asked and whatever fails, the invariants hold and nothing unanswered is forgotten."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from memory_core.ids import Epoch, Seq, Tag
from memory_core.lifecycle import effects as do
from memory_core.lifecycle import events as on
from memory_core.lifecycle.effects import COMPLETED_BY, Effect, HeadKind
from memory_core.lifecycle.machine import JournalLimits, Life, Phase, step, validate


class LifecycleWalk(RuleBasedStateMachine):
    """A writer and the storage under it: what is durable, answered and in the newest head."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(limits=JournalLimits(records=4))
        self.effect: Effect | None = None
        self.durable = self.answered = self.head = 0

    def advance(self, event: on.Event) -> None:
        self.life, self.effect = step(self.life, event)

    @initialize(head=st.integers(0, 3), tail=st.integers(0, 6))
    def open(self, head: int, tail: int) -> None:
        self.head, self.durable, self.answered = head, head + tail, head + tail
        self.advance(on.OpenRequested())

    @precondition(lambda self: self.effect is not None)
    @rule()
    def complete(self) -> None:
        effect: Any = self.effect
        special: dict[type, on.Completion] = {
            do.ClaimEpoch: on.EpochClaimed(Epoch(1)),
            do.RecoverMemory: on.MemoryRecovered(Seq(self.head), Seq(self.durable), self.durable - self.head, 0),
            do.AppendFrame: on.FrameAppended(10),
            do.AdoptState: on.StateAdopted(Seq(self.durable)),
            do.PublishHead: on.HeadPublished(self.life.applied_seq),
        }
        if isinstance(effect, do.AppendFrame):
            self.durable = effect.last_seq
        if isinstance(effect, do.AnswerGroup):
            self.answered = self.life.applied_seq
        if isinstance(effect, do.PublishHead) and effect.kind is HeadKind.SEAL:
            special[do.PublishHead] = on.HeadPublished(Seq(self.head))
        elif isinstance(effect, do.PublishHead):
            self.head = self.life.applied_seq
        self.advance(special.get(type(effect)) or COMPLETED_BY[type(effect)]())

    @precondition(lambda self: self.effect is not None)
    @rule(event=st.sampled_from([on.EffectFailed(), on.NewerEpochSeen()]))
    def disturb(self, event: on.Event) -> None:
        self.advance(event)

    @precondition(lambda self: self.effect is None and self.life.phase is not Phase.SERVING)
    @rule()
    def take_over(self) -> None:
        self.life = Life(limits=JournalLimits(records=4))
        self.advance(on.OpenRequested())

    @precondition(lambda self: self.effect is None and self.life.phase is Phase.SERVING)
    @rule(count=st.integers(1, 3))
    def observe(self, count: int) -> None:
        first = Seq(self.life.appended_seq + 1)
        self.advance(on.ObserveAccepted(first, Seq(first + count - 1)))

    @precondition(lambda self: self.effect is None and self.life.phase is Phase.SERVING)
    @rule(
        request=st.sampled_from(
            [
                on.CheckpointRequested(Tag("t")),
                on.CheckpointRequested(Tag("t"), include_momentum=False),
                on.RestoreRequested(Tag("t")),
                on.RollbackRequested(Seq(0)),
                on.ConsolidateRequested(),
                on.CloseRequested(),
            ]
        )
    )
    def ask(self, request: on.Request) -> None:
        self.advance(request)

    @invariant()
    def the_machine_is_sound(self) -> None:
        validate(self.life)

    @invariant()
    def what_was_answered_is_durable(self) -> None:
        assert self.head <= self.durable
        assert self.answered <= self.durable

    @invariant()
    def an_idle_writer_serves_all_that_it_answered(self) -> None:
        if self.life.phase is Phase.SERVING and self.effect is None:
            assert self.life.applied_seq == self.durable


TestLifecycleWalk = LifecycleWalk.TestCase
