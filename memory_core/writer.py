"""The one writer of one memory: thread-safe, synchronous, durable before it answers.

Used alike by the in-process backend and by the actor that owns a memory. Three locks, taken in this order:
the group queue (who commits next), the lane (one request's plan at a time), the state lock (readers against the
instant of change). After a failed or fenced write the writer is unusable; open another one, which recovers.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from memory_core import engine
from memory_core.consolidation.forget import LISTED_MAX
from memory_core.durability import Durability
from memory_core.errors import Fenced, InvalidInput, LearningFailed, Unavailable
from memory_core.export_shelf import ExportShelf
from memory_core.group_commit import GroupCommit, Waiting
from memory_core.holders import with_holders
from memory_core.ids import PERIODIC_PREFIX, Epoch, MemoryName, RequestId, Seq
from memory_core.insight_results import Activity
from memory_core.lifecycle import events as on
from memory_core.lifecycle.answers import Answer
from memory_core.lifecycle.machine import JournalLimits, Life
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.memory_owner import Group, MemoryOwner, OnEffect, OnPerformed
from memory_core.observe_request import ObserveRequest, accept_observe, idempotency_mismatch
from memory_core.owned_memory import PERIODIC_RETENTION, Clock, OwnedMemory, utc_now
from memory_core.progress import Progress, ProgressBoard
from memory_core.replay import Replay
from memory_core.results import (
    ConsolidateResult,
    EncodedObservation,
    EncodedText,
    ForgetReceipt,
    ForgetSelection,
    InferOptions,
    InferResult,
    MemoryStats,
    ObserveOptions,
    ObserveResult,
    SurpriseResult,
)
from memory_core.retelling import Story, story_of
from memory_core.state import MemoryState
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.records import JournalRecord
from memory_core.storage.terms_files import read_terms
from memory_core.storage_results import RetentionPolicy
from memory_core.stored_states import StoredStates
from memory_core.terms import Versions
from memory_core.writer_insight import WriterInsight
from memory_core.writer_versions import WriterVersions, made

WaitingObserve = Waiting[ObserveRequest, ObserveResult]
ACTIVITY_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterSettings:
    """How a writer works. device: of the state's tensors. on_effect: called before each effect (tests).

    durability: of memories that do not say themselves. rhythm: of versions that nobody asks for; retention: which of
    them are kept, of a memory without rules of its own.
    on_performed: called after each effect, with its seconds. begun: how far somebody replayed this memory already.
    """

    limits: JournalLimits = field(default_factory=JournalLimits)
    durability: Durability = field(default_factory=Durability)
    rhythm: CheckpointRhythm = field(default_factory=CheckpointRhythm)
    retention: RetentionPolicy = PERIODIC_RETENTION
    device: str = "cpu"
    clock: Clock = utc_now
    on_effect: OnEffect | None = None
    on_performed: OnPerformed | None = None
    begun: Replay | None = None


class MemoryWriter(WriterVersions, WriterInsight):
    """Owns a memory from ``open`` to ``close``. All methods may be called from any thread; they block."""

    _groups: GroupCommit[ObserveRequest, ObserveResult]

    def __init__(self, store: ObjectStore, name: MemoryName, settings: WriterSettings) -> None:
        """Not for callers: use ``open``."""
        self._store = store
        self._clock = settings.clock
        self._memory = OwnedMemory(
            store,
            name,
            clock=settings.clock,
            device=settings.device,
            retention=settings.retention,
            begun=settings.begun,
        )
        super().__init__(name, StoredStates(store, self._memory.shelf, settings.device))
        life = Life(limits=settings.limits, rhythm=settings.rhythm)
        self._owner = MemoryOwner(self._memory, life, settings.on_effect, settings.on_performed)
        self._lane = threading.Lock()
        self._board = ProgressBoard()
        self._exports = ExportShelf()
        self._durability = settings.durability

    @classmethod
    def open(cls, store: ObjectStore, name: MemoryName, settings: WriterSettings | None = None) -> MemoryWriter:
        """Claim the memory, fencing any other writer, and recover it. NotFound, Fenced, CorruptData or Unavailable."""
        writer = cls(store, name, settings or WriterSettings())
        with writer._lane:
            writer._owner.drive(on.OpenRequested())
            writer._owner.terms = read_terms(store, writer.uid)
        writer._start_groups()
        return writer

    @property
    def store(self) -> ObjectStore:
        """The volume that the memory is on."""
        return self._store

    @property
    def name(self) -> MemoryName:
        """The memory's name."""
        return self._name

    @property
    def epoch(self) -> Epoch:
        """This writer's ownership number."""
        return self._memory.files.epoch

    @property
    def seq(self) -> Seq:
        """The last position that was learned."""
        return self._memory.seq

    @property
    def journal_lag(self) -> int:
        """Journal records that no snapshot holds yet: what the next owner would replay."""
        return self._owner.life.journal_records

    @property
    def uid(self) -> str:
        """What tells this memory from a later one of the same name."""
        return self._memory.files.uid

    @property
    def allocated_bytes(self) -> int:
        """Bytes that the state may come to occupy in RAM."""
        return self._memory.state.allocated_bytes

    def observe(
        self, observations: Sequence[EncodedObservation], options: ObserveOptions | None = None
    ) -> ObserveResult:
        """Learn one request, together with those that wait beside it; returns after its record is durable and applied.

        The same request id with the same content gets its first answer again, with other content Conflict
        (IDEMPOTENCY_MISMATCH). Raises ReadOnly, InvalidInput, TooLarge, Saturated, LearningFailed, Fenced, Unavailable.
        """
        self._require_learning("Use infer and surprise.")
        request = accept_observe(self.config, observations, options or ObserveOptions())
        return self._groups.submit(request)

    def infer(self, query: EncodedText, options: InferOptions | None = None) -> InferResult:
        """Answer from what was learned; changes nothing."""
        with self._memory.state_lock:
            self._owner.require_serving()
            found = engine.infer(self._memory.state, self._name, query, options or InferOptions())
            return replace(found, seq=self._memory.seq)

    def surprise(self, texts: Sequence[EncodedText], domain: str | None = None) -> tuple[SurpriseResult, ...]:
        """Novelty of each text; changes nothing."""
        with self._memory.state_lock:
            self._owner.require_serving()
            return tuple(engine.surprise(self._memory.state, self._name, text, domain) for text in texts)

    def consolidate(self, plan: engine.ConsolidationPlan | None = None, *, run_id: str = "") -> ConsolidateResult:
        """Merge and rehearse; after a crash the memory is as before or as after.

        Under its ``run_id`` (default: a new one) others can look how far it is, or cancel it: then Conflict
        (CANCELLED), with the memory as it was.
        """
        self._require_learning("There is nothing to consolidate.")
        with self._board.run(run_id or uuid.uuid4().hex) as told, self._lane:
            self._owner.require_serving()
            self._owner.consolidate(plan or engine.ConsolidationPlan(), told)
            return made(self._memory.consolidated)

    def progress(self, run_id: str) -> Progress | None:
        """How far a consolidation is; None before its start and after its end."""
        return self._board.look(run_id)

    def cancel(self, run_id: str) -> None:
        """End a consolidation before its next step; no error when it has ended."""
        self._board.cancel(run_id)

    def story(self) -> Story:
        """What the memory was told, as far as it still knows, in order."""
        with self._memory.state_lock:
            self._owner.require_serving()
            return story_of(self._name, self._memory.state)

    def texts_to_forget(self, selection: ForgetSelection) -> tuple[str, ...]:
        """Texts that ``forget`` wants encoded, as the memory is now; InvalidInput for a selection without sense."""
        with self._memory.state_lock:
            self._owner.require_serving()
            return engine.cut(self._memory.state, selection).texts_to_encode

    def forget(
        self,
        selection: ForgetSelection,
        encoded: Sequence[EncodedText] = (),
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """Leave out what is chosen, in the state and in every file but the versions that somebody published.

        After a crash the state is the old or the new one. Versions that nobody asked for go when they hold it.

        Also when nothing is chosen the files are rewritten: a request whose first answer was lost is completed by a
        repetition. Raises InvalidInput, PreconditionFailed, Unavailable, or Fenced.
        """
        with self._lane:
            self._require_version(only_if)
            memory = self._memory
            removed = engine.cut(memory.state, selection).removed
            if is_dry_run:
                _, receipt = engine.forget(memory.state, self._name, selection, encoded)
                receipt = replace(receipt, is_dry_run=True, exemplars=removed[:LISTED_MAX])
            else:
                self._owner.forget(selection, encoded)
                receipt = made(memory.forgotten)
            told = with_holders(receipt, self._store, selection, removed, self.config.language)
            return told if is_dry_run else self._without_periodic(told)

    @contextmanager
    def looking(self) -> Iterator[MemoryState]:
        """The state, which stays as it is inside the ``with``; it must not be changed."""
        with self._memory.state_lock:
            self._owner.require_serving()
            yield self._memory.state

    @contextmanager
    def held_if_free(self) -> Iterator[bool]:
        """Whether nobody changes or reads the state now: then inside the ``with`` questions wait for nobody."""
        lock = self._memory.state_lock
        is_held = lock.acquire(blocking=False)
        try:
            yield is_held
        finally:
            if is_held:
                lock.release()

    def stats(self, *, detailed: bool = False) -> MemoryStats:
        """Counts, hash and capacity; ``detailed`` measures the capacity, which takes a moment."""
        tags = self._memory.shelf.tags(self._name)
        with self._memory.state_lock:
            self._owner.require_serving()
            memory, state = self._memory, self._memory.state
            return MemoryStats(
                name=self._name,
                seq=memory.seq,
                epoch=self.epoch,
                encoder=self.config.encoder,
                variant=self.config.variant,
                observation_count=state.observation_count,
                pattern_count=state.pattern_count,
                units=self.config.units,
                parameter_count=state.parameter_count,
                weight_hash=memory.weight_hash(),
                capacity_used=engine.capacity_used(state),
                surprise_recent_mean=state.surprise_recent,
                learning_rate=self.config.learning_rate,
                state_bytes=state.size_bytes,
                created_at=memory.head.created_at,
                parent=memory.head.parent,
                checkpoint_tags=tags,
                durability=str(self._durability),
                terms=self.terms,
                capacity=engine.measure_capacity(state) if detailed else None,
            )

    def activity(self, limit: int = 200) -> Activity:
        """What was learned last, oldest first; ``limit`` is 1 to 1000."""
        if not 1 <= limit <= ACTIVITY_MAX:
            raise InvalidInput(f"limit={limit} is not between 1 and {ACTIVITY_MAX}.", hint="Ask for fewer events.")
        with self.looking() as state:
            memory = self._memory
            exemplars = {one.seq: one for slot in state.bank.exemplars for one in slot}
            stored = (memory.answers.outcomes(), exemplars)
            return memory.recent.activity(self._name, (memory.seq, self._clock()), stored, limit)

    def close(self, *, must_fold: bool = True) -> None:
        """Give the memory up; handles are released in any case.

        Folds what the journal holds into a snapshot, which makes the next open fast. Unavailable when that failed;
        nothing acknowledged depends on it.
        """
        with self._lane:
            try:
                if self.is_usable:
                    self._owner.drive(on.CloseRequested(must_fold))
            except Fenced:
                pass  # the new owner folds
            finally:
                self._memory.release()

    def _without_periodic(self, receipt: ForgetReceipt) -> ForgetReceipt:
        """Drop the versions that nobody asked for and that hold what was forgotten."""
        holding = receipt.checkpoints_holding
        dropped = [tag for tag in holding if tag.startswith(PERIODIC_PREFIX)]
        if dropped:
            self._memory.files.drop_versions(dropped)
        return replace(receipt, checkpoints_holding=tuple(tag for tag in holding if tag not in dropped))

    def _start_groups(self) -> None:
        if self.config.durability is not None:
            self._durability = Durability.parse(self.config.durability)
        delay_s = self._durability.delay_s(self._store.url)
        self._groups = GroupCommit(self._commit, self._durability.group_max, delay_s)

    def _commit(self, group: list[WaitingObserve]) -> None:
        """Commit a group: ids that are known are answered from the table, all others share one frame."""
        with self._lane:
            self._owner.require_serving()
            fresh, repeats = self._split(group)
            if fresh:
                self._commit_fresh(fresh)
            else:
                self._owner.require_ownership()
            for waiting in repeats:
                self._answer_from_table(waiting)

    def _commit_fresh(self, fresh: list[WaitingObserve]) -> None:
        records: list[JournalRecord] = []
        next_seq = Seq(self._owner.life.appended_seq + 1)
        for waiting in fresh:
            records.append(waiting.request.to_record(next_seq))
            next_seq = Seq(records[-1].last_seq + 1)

        def settle_all(answers: Sequence[Answer]) -> None:
            for waiting, answer in zip(fresh, answers, strict=True):
                self._settle(waiting, answer)

        group = Group(records, settle_all)
        try:
            self._owner.observe(group)
        except LearningFailed as error:
            for waiting, record in zip(fresh, records, strict=True):
                waiting.refuse(error if record is group.broken else _interrupted())

    def _split(self, group: list[WaitingObserve]) -> tuple[list[WaitingObserve], list[WaitingObserve]]:
        """New requests, and those whose id is known or came before in this group."""
        fresh, repeats = [], []
        seen: set[RequestId] = set()
        for waiting in group:
            request_id = waiting.request.request_id
            if request_id is not None and (request_id in seen or self._memory.answers.find(request_id) is not None):
                repeats.append(waiting)
                continue
            if request_id is not None:
                seen.add(request_id)
            fresh.append(waiting)
        return fresh, repeats

    def _answer_from_table(self, waiting: WaitingObserve) -> None:
        request = waiting.request
        answer = self._memory.answers.find(request.request_id) if request.request_id is not None else None
        if request.request_id is None or answer is None:
            waiting.refuse(_interrupted())
        elif answer.digest != request.digest:
            waiting.refuse(idempotency_mismatch(request.request_id))
        else:
            self._settle(waiting, answer, is_replayed=True)

    def _settle(self, waiting: WaitingObserve, answer: Answer, *, is_replayed: bool = False) -> None:
        if answer.refusal is not None:
            waiting.refuse(answer.refusal.to_error())
            return
        result = ObserveResult(
            memory=self._name,
            outcomes=answer.outcomes,
            capacity_used=answer.capacity_used,
            observation_count=answer.observation_count,
            is_replayed_answer=is_replayed,
        )
        waiting.answer(result)


def _interrupted() -> Unavailable:
    return Unavailable(
        "The writer ended before this request was answered; it may have been learned.",
        code="WRITER_ENDED",
        hint="Repeat it with the same idempotency key.",
    )
