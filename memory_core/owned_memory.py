"""The effects of one memory's life: each method performs one effect and returns the event that completes it.

Order and failure are decided by ``memory_core.lifecycle``; this module only does. One thread at a time calls the
methods; ``state_lock`` is held while the state that readers use changes. A thread may take it again.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from memory_core import engine
from memory_core.config import MemoryConfig
from memory_core.errors import Conflict, CorruptData, Internal, NotFound
from memory_core.ids import MemoryName, Seq, Tag
from memory_core.learner import BrokeOn, BrokeTogether, Learner, Marks, batches, cut_group
from memory_core.lifecycle import events as on
from memory_core.lifecycle.answers import Answer, AnswerTable
from memory_core.lifecycle.effects import HeadKind
from memory_core.lifecycle.rhythm import Unsaved
from memory_core.progress import OnProgress
from memory_core.recent import RecentEvents
from memory_core.replay import Groups, Replay, marks_of, replayed
from memory_core.results import ConsolidateResult, EncodedText, ForgetReceipt, ForgetSelection
from memory_core.state import MemoryState, StateParts
from memory_core.storage.blobs import BlobRef
from memory_core.storage.catalog import Catalog
from memory_core.storage.checkpoints import CheckpointShelf
from memory_core.storage.journal import Run
from memory_core.storage.lineage import Lineage, branched, is_ancestor
from memory_core.storage.manifest import Checkpoint, Head, Snapshot
from memory_core.storage.memory_files import MemoryFiles, StateFacts, checkpoint_exists
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.records import JournalRecord, pack_frame
from memory_core.storage.retention import expired
from memory_core.storage_results import RetentionPolicy
from memory_core.stored_states import load_state

Clock = Callable[[], datetime]
T = TypeVar("T")
PERIODIC_RETENTION: Final = RetentionPolicy(keep_last=8)
"""Which versions that nobody asked for are kept, while the memory has no rule of its own."""


def utc_now() -> datetime:
    """The wall clock, used for what people read only."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A state with its position and history; ``snapshot`` when it is stored already."""

    state: MemoryState
    seq: Seq
    lineage: Lineage
    snapshot: Snapshot | None = None


class OwnedMemory:
    """State, position and files of a memory that this process claimed."""

    files: MemoryFiles
    head: Head
    _learner: Learner

    def __init__(
        self,
        store: ObjectStore,
        name: MemoryName,
        *,
        clock: Clock = utc_now,
        device: str = "cpu",
        retention: RetentionPolicy = PERIODIC_RETENTION,
        begun: Replay | None = None,
    ) -> None:
        """``begun``: of this memory, by whoever followed it; a recovery goes on from there."""
        self.name = name
        self._begun = begun
        self.state_lock = threading.RLock()
        self.shelf = CheckpointShelf(store, Catalog(store))
        self.candidate: Candidate | None = None
        self.consolidated: ConsolidateResult | None = None
        self.forgotten: ForgetReceipt | None = None
        self.checkpoint: Checkpoint | None = None
        self.recent = RecentEvents()
        self._weight_hash: str | None = None
        self._store = store
        self._clock = clock
        self._device = device
        self._retention = retention
        self._closed_runs: tuple[Run, ...] = ()
        self._marks = Marks()

    @property
    def state(self) -> MemoryState:
        """What was learned so far."""
        return self._learner.state

    @property
    def seq(self) -> Seq:
        """The last position that the state reflects."""
        return self._learner.seq

    @property
    def lineage(self) -> Lineage:
        """The history of the state."""
        return self._learner.lineage

    @property
    def answers(self) -> AnswerTable:
        """First answers by request id."""
        return self._learner.answers

    @property
    def config(self) -> MemoryConfig:
        """The memory's settings."""
        return self.head.config

    @property
    def now(self) -> datetime:
        """The time by this memory's clock."""
        return self._clock()

    def weight_hash(self) -> str:
        """Of the current state; kept until the state changes, since hashing reads every weight."""
        if self._weight_hash is None:
            self._weight_hash = self.state.weight_hash()
        return self._weight_hash

    def claim(self) -> on.EpochClaimed:
        """Fence every older writer."""
        self.files = MemoryFiles.claim(self._store, self.name)
        return on.EpochClaimed(self.files.epoch)

    def recover(self) -> on.MemoryRecovered:
        """Snapshot plus journal, each record exactly once."""
        try:
            return self._recover()
        except (NotFound, CorruptData) as error:
            # A newer writer may have pruned what this one was about to read: then nothing is damaged.
            self.files.require_newest()
            if isinstance(error, CorruptData):
                raise
            raise CorruptData(error.message, hint="Restore it from a backup.", key=error.context.get("key")) from error

    def _recover(self) -> on.MemoryRecovered:
        self.head = self.files.newest_head()
        snapshot = self.head.snapshot
        groups = list(self.files.journal_after(self.head))
        replay = self._gone_on(groups) or Replay.begun(self.files, self.head, groups, self._device)
        self._learner, self._marks = replay.learner, replay.marks
        self._weight_hash = snapshot.weight_hash if self.seq == snapshot.seq else None
        closed = [run if run.last_seq is not None else replace(run, last_seq=self.seq) for run in self.head.runs]
        self._closed_runs = tuple(run for run in closed if run.last_seq is not None and run.last_seq >= run.first_seq)
        journal_bytes = sum(len(pack_frame(group)) for group in groups)
        return on.MemoryRecovered(snapshot.seq, self.seq, self.seq - snapshot.seq, journal_bytes, self.head.unsaved)

    def _gone_on(self, groups: Groups) -> Replay | None:
        """What somebody replayed while following this memory, with the rest learned; None when it does not fit."""
        begun, self._begun = self._begun, None
        durable_seq = groups[-1][-1].last_seq if groups else self.head.snapshot.seq
        if begun is None or begun.learner.seq > durable_seq or not begun.leads_to(self.head, groups):
            return None
        begun.turn_to(self.head, groups)
        try:
            for group in groups:
                if group[-1].last_seq > begun.learner.seq:
                    begun.learn(group)
        except (BrokeOn, BrokeTogether):
            return None
        return begun

    def append(self, records: Sequence[JournalRecord]) -> on.FrameAppended:
        """Make a group durable."""
        return on.FrameAppended(self.files.append(records))

    def verify_epoch(self) -> on.EpochVerified:
        """Raises Fenced when a newer writer claimed."""
        self.files.require_newest()
        return on.EpochVerified()

    def learn(self, group: Sequence[JournalRecord]) -> list[Answer]:
        """Learn a durable group; an answer for each record. Raises BrokeOn, with the state of no use any more."""
        answers: list[Answer] = []
        for batch in batches(group):
            with self.state_lock:
                self._weight_hash = None
                try:
                    told = self._learner.learn(batch)
                except BrokeTogether:
                    return self._learn_singly(group)
                self._watch(batch, told)
            answers += told
        return answers

    def _watch(self, batch: Sequence[JournalRecord], answers: Sequence[Answer]) -> None:
        now = self._clock()
        for record, answer in zip(batch, answers, strict=True):
            self.recent.add([item.observation for item in record.observations], answer.outcomes, now)

    def mark(self, group: Sequence[JournalRecord], broken: JournalRecord | None = None) -> None:
        """Journal that a group is learned one by one, and that one of its records is never learned at all."""
        self.files.append(
            [
                JournalRecord(
                    first_seq=Seq(group[-1].last_seq + 1),
                    skipped_seq=None if broken is None else broken.first_seq,
                    singly_seq=group[0].first_seq,
                )
            ]
        )

    def _learn_singly(self, group: Sequence[JournalRecord]) -> list[Answer]:
        """Start again from the state before the group."""
        groups = list(self.files.journal_after(self.head))
        before = [known for known in groups if known[0].first_seq < group[0].first_seq]
        self._learner = replayed(self.files, self.head, before, marks_of(self.head, groups), self._device)
        answers = [self._learner.learn_one(record) for record in group]
        self.mark(group)
        return answers

    def write_checkpoint(self, tag: Tag, description: str, *, include_momentum: bool = True) -> on.CheckpointWritten:
        """Store the current state by content, unless the newest head names just that."""
        if self.files.has_checkpoint(tag):
            raise checkpoint_exists(self.name, tag)
        snapshot = self._write_shared() if include_momentum else self._write_without_momentum()
        self.checkpoint = Checkpoint(
            memory=self.name,
            tag=tag,
            description=description,
            created_at=self._clock().isoformat(),
            epoch=self.files.epoch,
            number=self.files.next_number(),
            parent=self.head.parent,
            has_momentum=include_momentum,
            config=self.config,
            snapshot=snapshot,
        )
        return on.CheckpointWritten()

    def parts_now(self) -> tuple[Snapshot, StateParts]:
        """The current state taken apart, and the snapshot that it would have, without blobs."""
        parts = self.state.to_parts()
        return _facts(self._current, parts, self.weight_hash()).to_snapshot(None), parts

    def publish_checkpoint(self) -> on.CheckpointPublished:
        """Make the written checkpoint exist under its tag."""
        self.files.publish_checkpoint(_required(self.checkpoint))
        return on.CheckpointPublished()

    def load_checkpoint(
        self, tag: Tag, *, restore_momentum: bool = True, source: MemoryName | None = None
    ) -> on.CheckpointLoaded:
        """Read a checkpoint, of another memory with ``source``, as the candidate. NotFound, or Conflict."""
        found = self.shelf.find(source or self.name, tag)
        self.files.pin(found.snapshot)
        found = self.shelf.find(source or self.name, tag)
        if replace(found.config, placement=self.config.placement) != self.config:
            raise Conflict(
                f"The memory {found.memory} has other settings than {self.name}.",
                code="SETTINGS_MISMATCH",
                hint="A state fits only a memory with the same settings.",
            )
        lineage = branched(found.snapshot.lineage, _fresh_branch())
        snapshot = replace(found.snapshot, lineage=lineage)
        state = load_state(self.files.store, self.config, snapshot, self._device, of=self.name)
        if not restore_momentum:
            state.drop_momentum()
        self.candidate = Candidate(state, snapshot.seq, lineage, snapshot if restore_momentum else None)
        return on.CheckpointLoaded()

    def replay_to(self, seq: Seq) -> on.JournalReplayed:
        """Rebuild the state at an earlier position as the candidate; NotFound (SEQ_NOT_IN_JOURNAL)."""
        for run in self.files.runs_back_to(seq):
            marks = marks_of(run.head, run.groups)
            told = [cut for group in run.groups if (cut := cut_group(group, seq))]
            learner = replayed(self.files, run.head, told, marks, self._device)
            if learner.seq == seq and is_ancestor(learner.lineage, self.lineage):
                lineage = branched(learner.lineage, _fresh_branch())
                self.candidate = Candidate(learner.state, seq, lineage)
                return on.JournalReplayed()
        raise NotFound(
            f"Position {seq} of memory {self.name} is not in its journal any more.",
            code="SEQ_NOT_IN_JOURNAL",
            hint="Choose a later position, or restore a checkpoint.",
            memory=self.name,
            seq=seq,
        )

    def compute_consolidation(
        self, plan: engine.ConsolidationPlan, on_progress: OnProgress
    ) -> on.ConsolidationComputed:
        """Consolidate into the candidate; what ``on_progress`` raises ends it."""
        state, self.consolidated = engine.consolidate(self.state, self.name, plan, on_progress)
        self.candidate = Candidate(state, self.seq, self.lineage)
        return on.ConsolidationComputed()

    def compute_forgetting(self, selection: ForgetSelection, encoded: Sequence[EncodedText]) -> on.ForgettingComputed:
        """Build the state without what is chosen as the candidate."""
        removed = engine.cut(self.state, selection).removed
        state, self.forgotten = engine.forget(self.state, self.name, selection, encoded)
        self.candidate = Candidate(state, self.seq, self.lineage)
        self.recent.forget_texts()
        self.answers.forget_content(frozenset(item.seq for item in removed))
        return on.ForgettingComputed()

    def publish_head(self, kind: HeadKind, unsaved: Unsaved = Unsaved()) -> on.HeadPublished:
        """Make the next recovery start from the recovered, current, checkpointed or candidate state."""
        number = self.files.next_number()
        is_seal = kind is HeadKind.SEAL
        open_run = self.files.open_run(_required(self.candidate).seq if kind is HeadKind.REPLACEMENT else self.seq)
        head = replace(
            self.head,
            epoch=self.files.epoch,
            number=number,
            snapshot=self._snapshot_for(kind, number),
            runs=(*self._closed_runs, open_run) if is_seal else (open_run,),
            skipped=tuple(sorted(self._marks.skipped)) if is_seal else (),
            singly=tuple(sorted(self._marks.singly)) if is_seal else (),
            answers=self.head.answers if is_seal else self._write_answers(number),
            unsaved=self.head.unsaved if is_seal else unsaved,
        )
        self.files.publish_head(head)
        self.head = head
        return on.HeadPublished(head.snapshot.seq)

    def adopt(self) -> on.StateAdopted:
        """Make the candidate the current state."""
        candidate, self.candidate = _required(self.candidate), None
        with self.state_lock:
            self._learner = Learner(candidate.state, candidate.seq, candidate.lineage, self.answers)
            self._weight_hash = self.head.snapshot.weight_hash
            self.recent.keep_until(candidate.seq)
        return on.StateAdopted(candidate.seq)

    def prune(self) -> on.StoragePruned:
        """Delete what the two newest heads do not need."""
        self.files.prune()
        return on.StoragePruned()

    def purge(self) -> on.StoragePurged:
        """Delete what the newest head does not need, also blobs that only older heads named."""
        self.files.purge()
        return on.StoragePurged()

    def prune_versions(self) -> on.VersionsPruned:
        """Unpublish what the memory's rules do not keep, of versions that nobody asked for."""
        policy = replace(self.files.retention(self._retention), keep_tagged=True)
        for item in reversed(expired(self.files.periodic_versions(), policy, self._clock())):
            self.files.delete_version(item.tag)
        return on.VersionsPruned()

    def release(self) -> on.JournalReleased:
        """Close the journal and let go of the state, whose memory others need."""
        self.files.close()
        with self.state_lock:
            self.__dict__.pop("_learner", None)
            self.candidate = None
        return on.JournalReleased()

    @property
    def _is_head_current(self) -> bool:
        return self.head.snapshot.seq == self.seq

    def _snapshot_for(self, kind: HeadKind, number: int) -> Snapshot:
        if kind is HeadKind.SEAL:
            return self.head.snapshot
        if kind is HeadKind.CHECKPOINT:
            return _required(self.checkpoint).snapshot
        if kind is HeadKind.SNAPSHOT:
            return self._write_private(number, self._current, self.weight_hash())
        candidate = _required(self.candidate)
        return candidate.snapshot or self._write_private(number, candidate, candidate.state.weight_hash())

    @property
    def _current(self) -> Candidate:
        return Candidate(self.state, self.seq, self.lineage)

    def _write_shared(self) -> Snapshot:
        """The current state by content; writes nothing when the newest head names just that."""
        snapshot = self.head.snapshot
        if self._is_head_current and snapshot.is_shared and snapshot.blobs is not None:
            self.files.pin(snapshot)
            return snapshot
        parts = self.state.to_parts()
        return self.files.write_shared(parts.blobs, _facts(self._current, parts, self.weight_hash()))

    def _write_without_momentum(self) -> Snapshot:
        state = self.state.clone()
        state.drop_momentum()
        parts = state.to_parts()
        return self.files.write_shared(parts.blobs, _facts(self._current, parts, state.weight_hash()))

    def _write_private(self, number: int, chosen: Candidate, weight_hash: str) -> Snapshot:
        parts = chosen.state.to_parts()
        return self.files.write_private(number, parts.blobs, _facts(chosen, parts, weight_hash))

    def _write_answers(self, number: int) -> BlobRef | None:
        return self.files.write_answers(number, self.answers.to_json()) if len(self.answers) else None


def _facts(chosen: Candidate, parts: StateParts, weight_hash: str) -> StateFacts:
    return StateFacts(
        seq=chosen.seq,
        weight_hash=weight_hash,
        observation_count=chosen.state.observation_count,
        pattern_count=chosen.state.pattern_count,
        lineage=chosen.lineage,
        header=parts.header,
    )


def _fresh_branch() -> str:
    return uuid.uuid4().hex[:12]


def _required(value: T | None) -> T:
    if value is None:
        raise Internal("An effect was performed without the one that prepares it.")
    return value
