"""Everything one writer reads and writes of its memory, without knowing what learning is.

Publishing order is always tensors, then the document that names them; the document's arrival is the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory_core.errors import Conflict, Fenced, Internal, NotFound
from memory_core.ids import PERIODIC_PREFIX, Epoch, MemoryName, Seq, Tag
from memory_core.storage import epochs, keys
from memory_core.storage.blobs import (
    BlobRef,
    TensorGroup,
    pack_group,
    put_private,
    put_shared,
    shared_ref,
)
from memory_core.storage.catalog import Catalog, memory_not_found
from memory_core.storage.collect import delete_unreached
from memory_core.storage.documents import create_document, read_document
from memory_core.storage.journal import Journal, Run, delete_segments_before, read_run
from memory_core.storage.lineage import Lineage
from memory_core.storage.manifest import Checkpoint, Head, Snapshot
from memory_core.storage.memory_view import MemoryView
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.pins import Pin, pin
from memory_core.storage.reach import blobs_of_head, shared_blobs
from memory_core.storage.records import JournalRecord
from memory_core.storage.retention import read_policy
from memory_core.storage_results import RetentionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """What a manifest says about a state beside its tensors."""

    seq: Seq
    weight_hash: str
    observation_count: int
    pattern_count: int
    lineage: Lineage
    header: dict[str, Any]

    def to_snapshot(self, blobs: dict[str, BlobRef] | None) -> Snapshot:
        """The manifest entry once the tensors are stored."""
        return Snapshot(
            seq=self.seq,
            weight_hash=self.weight_hash,
            observation_count=self.observation_count,
            pattern_count=self.pattern_count,
            lineage=self.lineage,
            header=self.header,
            blobs=blobs,
        )


@dataclass(frozen=True, slots=True)
class HeadRun:
    """A head and groups of the journal that follows it."""

    head: Head
    groups: list[list[JournalRecord]]


class MemoryFiles(MemoryView):
    """One epoch's view of one memory's objects. Used by one thread at a time."""

    def __init__(self, store: ObjectStore, name: MemoryName, uid: str, epoch: Epoch) -> None:
        super().__init__(store, name, uid)
        self.epoch = epoch
        self._journal = Journal(store, uid, epoch)
        self._number = 0
        self._kept: tuple[Head, ...] = ()
        self._pin: Pin | None = None

    @classmethod
    def claim(cls, store: ObjectStore, name: MemoryName) -> MemoryFiles:
        """Own the memory from now on; NotFound when there is none. See ``epochs`` for why the name is read twice."""
        catalog = Catalog(store)
        uid = catalog.find(name).uid
        try:
            epoch = epochs.claim(store, uid)
        except NotFound as error:
            raise memory_not_found(name) from error
        if catalog.find(name).uid != uid:
            raise memory_not_found(name)
        return cls(store, name, uid, epoch)

    def require_newest(self) -> None:
        """Fenced when a newer writer claimed the memory, or it was deleted."""
        epochs.require_newest(self.store, self.uid, self.epoch)

    def newest_head(self) -> Head:
        """Where recovery starts. Fenced when a newer writer has published one already."""
        head = self.read_head(self.newest_head_key())
        if head.epoch > self.epoch:
            self.require_newest()
            raise Internal("A head of a newer epoch exists without its claim.", epoch=self.epoch)
        self._kept = (head,)
        return head

    def runs_back_to(self, seq: Seq) -> Iterator[HeadRun]:
        """Stored heads from which a position may be reached, newest first, each with the groups that lead there."""
        later: Head | None = None
        for key in reversed([item.key for item in self.store.list_objects(keys.heads(self.uid))]):
            try:
                head = self.read_head(key)
            except NotFound:
                continue
            if head.snapshot.seq <= seq and (later is None or later.epoch == head.epoch):
                yield HeadRun(head, self._groups_until(head, later, seq))
            later = head

    def _groups_until(self, head: Head, later: Head | None, seq: Seq) -> list[list[JournalRecord]]:
        """Groups from a head to a position, and the marks behind it; what followed a later head is not its own."""
        groups: list[list[JournalRecord]] = []
        for run in head.runs:
            is_open = later is not None and run.last_seq is None
            end_segment = later.runs[-1].first_segment if later is not None and is_open else None
            for group in read_run(self.store, self.uid, run, end_segment):
                if group[0].observations and group[0].first_seq > seq:
                    return groups
                groups.append(group)
        return groups

    def append(self, records: Sequence[JournalRecord]) -> int:
        """Make records durable together; returns bytes written."""
        return self._journal.append(records)

    def publish_head(self, head: Head) -> None:
        """The instant that a recovery starts from this head."""
        self._require_fresh_pin()
        key = keys.head(self.uid, head.epoch, head.number)
        if not create_document(self.store, key, "head", head.to_dict()):
            raise Fenced("This epoch's head exists already.", hint="Reopen the memory.", epoch=self.epoch)
        self._kept = (*self._kept, head)[-2:]
        self.unpin()

    def next_number(self) -> int:
        """Numbers of this epoch's heads and checkpoints, in order of their making."""
        self._number += 1
        return self._number

    def open_run(self, seq: Seq) -> Run:
        """The run that begins after ``seq``, in a fresh segment."""
        return Run(self.epoch, self._journal.rotate(), Seq(seq + 1), None)

    def write_private(self, number: int, groups: Mapping[str, TensorGroup], facts: StateFacts) -> Snapshot:
        """Store a state for head ``number`` alone."""
        blobs = {
            group: put_private(self.store, self._state_key(number, f"{group}.safetensors"), pack_group(tensors))
            for group, tensors in groups.items()
        }
        return facts.to_snapshot(blobs)

    def write_shared(self, groups: Mapping[str, TensorGroup], facts: StateFacts) -> Snapshot:
        """Store a state by content, for any manifest to name."""
        packed = {group: pack_group(tensors) for group, tensors in groups.items()}
        snapshot = facts.to_snapshot({group: shared_ref(data) for group, data in packed.items()})
        self.pin(snapshot)
        for group, ref in (snapshot.blobs or {}).items():
            put_shared(self.store, ref, packed[group])
        return snapshot

    def pin(self, snapshot: Snapshot) -> None:
        """Keep a snapshot's shared blobs until the next head is published, or another one is pinned."""
        self.unpin()
        self._pin = pin(self.store, [ref.key for ref in (snapshot.blobs or {}).values() if ref.is_shared])

    def unpin(self) -> None:
        """What was pinned is published, or will not be."""
        if self._pin is not None:
            self._pin.release()
            self._pin = None

    def write_answers(self, number: int, data: bytes) -> BlobRef:
        """Store the table of idempotent answers for head ``number``."""
        return put_private(self.store, self._state_key(number, "answers.json"), data)

    def publish_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Conflict (CHECKPOINT_EXISTS) when the tag is taken."""
        self._require_fresh_pin()
        key = keys.checkpoint(self.uid, checkpoint.tag)
        if not create_document(self.store, key, "checkpoint", checkpoint.to_dict()):
            raise checkpoint_exists(self.name, checkpoint.tag)

    def has_checkpoint(self, tag: Tag) -> bool:
        """True when the tag is taken."""
        return self.store.exists(keys.checkpoint(self.uid, tag))

    def prune(self) -> None:
        """Delete what neither of the two newest heads reaches, of this and older epochs only."""
        for key in (item.key for item in self.store.list_objects(keys.heads(self.uid))):
            if key < self._head_key(self._kept[0]):
                self.store.delete(key)
        self._prune_states()
        if self._kept[0].runs:
            delete_segments_before(self.store, self.uid, self._kept[0].runs[0])

    def periodic_versions(self) -> list[Checkpoint]:
        """Versions that nobody asked for, newest first."""
        prefix = keys.checkpoints(self.uid) + PERIODIC_PREFIX
        listed = [item.key for item in self.store.list_objects(prefix)]
        found = [read_document(self.store, key, "checkpoint", Checkpoint.from_dict) for key in listed]
        return sorted(found, key=lambda item: (item.epoch, item.number), reverse=True)

    def delete_version(self, tag: Tag) -> None:
        """Unpublish a version; its blobs stay for the garbage collection."""
        self.store.delete(keys.checkpoint(self.uid, tag))

    def drop_versions(self, tags: Sequence[Tag]) -> None:
        """Unpublish versions, and delete their blobs where nothing else names them."""
        found = {keys.checkpoint(self.uid, tag) for tag in tags}
        dropped = {blob for key in found for blob in shared_blobs(self.store, key)}
        for key in sorted(found):
            self.store.delete(key)
        delete_unreached(self.store, dropped)

    def retention(self, otherwise: RetentionPolicy) -> RetentionPolicy:
        """The memory's policy, or ``otherwise`` when it has no rule."""
        policy = read_policy(self.store, self.uid)
        return policy if policy.has_rule else otherwise

    def purge(self) -> None:
        """Delete all that the newest head does not reach, and shared blobs that only older heads of it named.

        Blobs go before the heads that name them, so that a crash between leaves nothing that no repetition finds.
        """
        self._kept = self._kept[-1:]
        newest = self._head_key(self._kept[0])
        older = [item.key for item in self.store.list_objects(keys.heads(self.uid)) if item.key < newest]
        dropped = {key for head in older for key in blobs_of_head(self.store, head)}
        delete_unreached(self.store, dropped, frozenset(older))
        self.prune()

    def close(self) -> None:
        """Release the journal's handle."""
        self._journal.close()
        self.unpin()

    def _require_fresh_pin(self) -> None:
        if self._pin is not None:
            self._pin.require_fresh()

    def _prune_states(self) -> None:
        reached = {ref.key for head in self._kept for ref in _private_refs(head)}
        newest = self._state_key(self._number + 1, "")
        for key in (item.key for item in self.store.list_objects(keys.states(self.uid))):
            if key < newest and key not in reached:
                self.store.delete(key)

    def _head_key(self, head: Head) -> str:
        return keys.head(self.uid, head.epoch, head.number)

    def _state_key(self, number: int, part: str) -> str:
        return keys.state(self.uid, self.epoch, number, part)


def _private_refs(head: Head) -> list[BlobRef]:
    refs = [*(head.snapshot.blobs or {}).values(), *([head.answers] if head.answers else [])]
    return [ref for ref in refs if not ref.is_shared]


def checkpoint_exists(name: MemoryName, tag: Tag) -> Conflict:
    """The error of a second checkpoint under one tag."""
    return Conflict(
        f"Memory {name} has a checkpoint {tag} already.",
        code="CHECKPOINT_EXISTS",
        hint="Checkpoints never change: choose another tag.",
        memory=name,
        tag=tag,
    )
