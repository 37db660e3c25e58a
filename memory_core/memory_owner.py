"""Runs the lifecycle machine against storage and state: ask for the next effect, perform it, report, repeat.

One thread at a time (the writer's lane). What an effect does is in ``owned_memory``, which effect comes next and what
a failure means is in ``lifecycle.machine``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from memory_core.consolidation.plan import ConsolidationPlan
from memory_core.errors import Fenced, Internal, NeuralMemoryError, Unavailable
from memory_core.learner import BrokeOn, learning_broke
from memory_core.lifecycle import effects as do
from memory_core.lifecycle import events as on
from memory_core.lifecycle.answers import Answer
from memory_core.lifecycle.effects import SURVIVABLE, Effect
from memory_core.lifecycle.machine import Life, Phase, step
from memory_core.owned_memory import OwnedMemory
from memory_core.progress import OnProgress
from memory_core.results import EncodedText, ForgetSelection
from memory_core.storage.catalog import memory_not_found
from memory_core.storage.lineage import common_observation_count
from memory_core.storage.records import JournalRecord
from memory_core.terms import MemoryTerms

OnEffect = Callable[[Effect], None]
E = TypeVar("E", bound=BaseException)
OnPerformed = Callable[[Effect, float], None]
OnAnswers = Callable[[Sequence[Answer]], None]

# What a caller is owed does not depend on these, so their failure is not the caller's.
_SILENT: Final = (do.PruneStorage, do.PruneVersions, do.ReleaseJournal)
_PERIODIC: Final = "published by itself"
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Group:
    """Records that share a frame, and where their answers go. ``broken``: the one that learning broke on."""

    records: Sequence[JournalRecord]
    on_answers: OnAnswers
    answers: list[Answer] = field(default_factory=list)
    broken: JournalRecord | None = None


class MemoryOwner:
    """The machine, the memory it moves, and the loop between them."""

    def __init__(
        self,
        memory: OwnedMemory,
        life: Life,
        on_effect: OnEffect | None = None,
        on_performed: OnPerformed | None = None,
    ) -> None:
        """``life``: a new one, with its limits and rhythm."""
        self.memory = memory
        self.life = life
        self.terms = MemoryTerms()
        self._on_effect = on_effect
        self._on_performed = on_performed
        self._group = Group((), lambda _: None)
        self._description = _PERIODIC
        self._is_answered = False
        self._consolidation: tuple[ConsolidationPlan, OnProgress] = (ConsolidationPlan(), lambda _, __: None)
        self._forgetting: tuple[ForgetSelection, Sequence[EncodedText]] = (ForgetSelection(), ())

    def require_serving(self) -> None:
        """Raise what a caller of an ended writer needs to know."""
        if self.life.phase is Phase.SERVING:
            self._require_alive()
            return
        if self.life.phase is Phase.FENCED:
            raise Fenced("Another process took over this memory.", hint="Repeat the request; it reaches the new owner.")
        raise Unavailable(
            f"This writer has {self.life.phase}.",
            code="WRITER_ENDED",
            hint="Repeat the request; the memory is recovered by the next writer.",
            phase=self.life.phase.value,
            story=" ".join(self.life.story),
        )

    def give_way(self) -> None:
        """Serve no more: somebody else has claimed the memory, or ended it."""
        self._report(on.NewerEpochSeen())

    def _require_alive(self) -> None:
        if self.terms.expires_at is not None and self.terms.is_over(self.memory.now):
            raise memory_not_found(self.memory.name)

    def require_ownership(self) -> None:
        """Raise Fenced when a newer writer claimed the memory, for answers that need no write."""
        try:
            self.memory.verify_epoch()
        except Fenced:
            self.give_way()
            raise

    def observe(self, group: Group) -> None:
        """Append, verify, apply and answer a group."""
        self._group = group
        self.drive(on.ObserveAccepted(group.records[0].first_seq, group.records[-1].last_seq))

    def checkpoint(self, request: on.CheckpointRequested, description: str) -> None:
        """Publish the state under a tag."""
        self._description = description
        try:
            self.drive(request)
        finally:
            self._description = _PERIODIC

    def consolidate(self, plan: ConsolidationPlan, on_progress: OnProgress) -> None:
        """Merge and rehearse; what ``on_progress`` raises leaves all as it was."""
        self._consolidation = (plan, on_progress)
        self.drive(on.ConsolidateRequested())

    def forget(self, selection: ForgetSelection, encoded: Sequence[EncodedText]) -> None:
        """Leave out what is chosen, here and in storage. ``encoded``: see ``engine.forget``."""
        self._forgetting = (selection, encoded)
        self.drive(on.ForgetRequested())

    def go_back(self, request: on.RestoreRequested | on.RollbackRequested) -> int:
        """Replace the state by an earlier or another one; says how many observations are lost by it."""
        before, count_before = self.memory.lineage, self.memory.state.observation_count
        self.drive(request)
        return count_before - common_observation_count(before, self.memory.lineage)

    def drive(self, request: on.Request) -> None:
        """Run a request's plan to its end, or raise what ended it."""
        self._is_answered = isinstance(request, on.TimePassed)
        effect = self._report(request)
        while effect is not None:
            try:
                if self._on_effect is not None:
                    self._on_effect(effect)
                began_s = time.perf_counter()
                completion = self._perform(effect)
                if self._on_performed is not None:
                    self._on_performed(effect, time.perf_counter() - began_s)
            except Fenced as error:
                self._report(on.NewerEpochSeen())
                self._told(error)
                raise
            except BaseException as error:
                next_effect = self._report(on.EffectFailed())
                if self._is_owed(effect) or not isinstance(error, Exception):
                    raise self._told(_as_known_error(error, effect)) from error
                _LOG.warning("Memory %s: %s failed (%s).", self.memory.name, *_named(effect, error))
                effect = next_effect
            else:
                effect = self._report(completion)

    def _told(self, error: E) -> E:
        """The error with the last events, if it ended the writer."""
        if isinstance(error, NeuralMemoryError) and self.life.phase is not Phase.SERVING:
            error.context.setdefault("story", " ".join(self.life.story))
        return error

    def _is_owed(self, effect: Effect) -> bool:
        """True when a caller waits for what the effect does, or the writer ends with it."""
        is_mere_care = isinstance(effect, _SILENT) or (self._is_answered and type(effect) in SURVIVABLE)
        return not is_mere_care

    def _report(self, event: on.Event) -> Effect | None:
        self.life, effect = step(self.life, event)
        return effect

    def _perform(self, effect: Effect) -> on.Completion:
        memory = self.memory
        match effect:
            case do.WriteCheckpoint(tag, include_momentum):
                return memory.write_checkpoint(tag, self._description, include_momentum=include_momentum)
            case do.LoadCheckpoint() | do.ReplayTo() | do.ComputeConsolidation() | do.ComputeForgetting():
                return self._prepare(effect)
            case do.PublishHead(kind, unsaved):
                return memory.publish_head(kind, unsaved)
            case do.AppendFrame():
                return memory.append(self._group.records)
            case do.ApplyGroup():
                return self._apply_group()
            case do.AnswerGroup():
                self._group.on_answers(self._group.answers)
                self._is_answered = True
                return on.GroupAnswered()
        return self._perform_plain(effect)

    def _prepare(
        self, effect: do.LoadCheckpoint | do.ReplayTo | do.ComputeConsolidation | do.ComputeForgetting
    ) -> on.Completion:
        """Make the state that will replace the current one."""
        memory = self.memory
        match effect:
            case do.LoadCheckpoint(tag, restore_momentum, source):
                return memory.load_checkpoint(tag, restore_momentum=restore_momentum, source=source)
            case do.ReplayTo(seq):
                return memory.replay_to(seq)
            case do.ComputeConsolidation():
                return memory.compute_consolidation(*self._consolidation)
            case do.ComputeForgetting():
                return memory.compute_forgetting(*self._forgetting)

    def _perform_plain(self, effect: Effect) -> on.Completion:
        memory = self.memory
        plain: dict[type[Effect], Callable[[], on.Completion]] = {
            do.ClaimEpoch: memory.claim,
            do.RecoverMemory: memory.recover,
            do.VerifyEpoch: memory.verify_epoch,
            do.PublishCheckpoint: memory.publish_checkpoint,
            do.AdoptState: memory.adopt,
            do.PruneStorage: memory.prune,
            do.PurgeStorage: memory.purge,
            do.PruneVersions: memory.prune_versions,
            do.ReleaseJournal: memory.release,
        }
        return plain[type(effect)]()

    def _apply_group(self) -> on.GroupApplied:
        """Learn the group. When learning itself breaks on a record, it is marked and this writer ends."""
        try:
            self._group.answers = self.memory.learn(self._group.records)
        except BrokeOn as error:
            self._group.broken = error.record
            self.memory.mark(self._group.records, error.record)
            raise learning_broke() from error
        return on.GroupApplied()


def _named(effect: Effect, error: Exception) -> tuple[str, str]:
    """For the log: codes and classes, never a message that could hold content."""
    return type(effect).__name__, error.code if isinstance(error, NeuralMemoryError) else type(error).__name__


def _as_known_error(error: BaseException, effect: Effect) -> BaseException:
    if isinstance(error, NeuralMemoryError) or not isinstance(error, Exception):
        return error
    return Internal(f"{type(effect).__name__} failed ({type(error).__name__}).", hint="Report this with the log.")
