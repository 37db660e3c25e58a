"""The part of a writer that makes and takes versions: checkpoints, going back, forks, archives."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeVar

from memory_core.adoption import adopt
from memory_core.config import MemoryConfig
from memory_core.errors import Internal, InvalidInput
from memory_core.export_shelf import ExportShelf
from memory_core.family_results import PromoteResult
from memory_core.ids import MemoryName, Seq, Tag
from memory_core.lifecycle import events as on
from memory_core.lifecycle.machine import Phase
from memory_core.owned_memory import Clock
from memory_core.portable import archive_head, json_lines
from memory_core.results import CheckpointInfo, CheckpointPage, ForkResult, RestoreResult, RollbackResult
from memory_core.storage.archive import ArchiveHead, Member
from memory_core.terms import Versions
from memory_core.writer_terms import WriterTerms

T = TypeVar("T")
LOSS_WARNING_ABOVE: Final = 100
_TICK_WAIT_S: Final = 1.0


class WriterVersions(WriterTerms):
    """Methods of a writer, each inside the lane: one change of a memory at a time."""

    _clock: Clock
    _exports: ExportShelf

    @property
    def config(self) -> MemoryConfig:
        """The memory's settings."""
        return self._memory.config

    @property
    def is_usable(self) -> bool:
        """False once it was fenced, failed or closed: then open another one."""
        return self._owner.life.phase is Phase.SERVING

    def checkpoint(self, tag: Tag, description: str = "", *, include_momentum: bool = True) -> CheckpointInfo:
        """Publish the current state under a tag; Conflict (CHECKPOINT_EXISTS) when it is taken."""
        with self._lane:
            self._owner.require_serving()
            self._owner.checkpoint(on.CheckpointRequested(tag, include_momentum), description)
            return made(self._memory.checkpoint).to_info()

    def export_head(self) -> ArchiveHead:
        """The current state as an archive's manifest; ``export_member`` gives its files."""
        with self._lane, self._memory.state_lock:
            self._owner.require_serving()
            snapshot, parts = self._memory.parts_now()
        members = self._exports.put(snapshot.weight_hash, parts.blobs)
        return archive_head(self._name, None, "", self.config, snapshot, members)

    def export_member(self, head: ArchiveHead, member: Member) -> bytes:
        """A file of an export; Unavailable (EXPORT_LOST) when it was not kept."""
        data = self._exports.get(head.facts["weight_hash"], member)
        if member == head.files[-1]:
            self._exports.drop(head.facts["weight_hash"])
        return data

    def export_lines(self) -> bytes:
        """The current state as readable lines of JSON."""
        with self._lane, self._memory.state_lock:
            self._owner.require_serving()
            snapshot, _ = self._memory.parts_now()
            return json_lines(archive_head(self._name, None, "", self.config, snapshot, None), self._memory.state)

    def list_checkpoints(self, prefix: str = "", limit: int = 100, cursor: str | None = None) -> CheckpointPage:
        """Checkpoints, newest first."""
        return self._memory.shelf.list_page(self._name, prefix, limit, cursor)

    def restore(self, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None) -> RestoreResult:
        """Go back to a checkpoint; NotFound (CHECKPOINT_NOT_FOUND) when the tag is unknown."""
        with self._lane:
            self._require_version(only_if)
            lost = self._owner.go_back(on.RestoreRequested(tag, restore_momentum))
            return RestoreResult(
                memory=self._name,
                tag=tag,
                weight_hash=self._memory.head.snapshot.weight_hash,
                observations_lost=lost,
                warning=_loss_warning(lost),
            )

    def adopt(self, fork: MemoryName, tag: Tag, previous_tag: Tag) -> PromoteResult:
        """Take a version of a fork over as the state; see ``adoption.adopt``."""
        with self._lane:
            self._owner.require_serving()
            return adopt(self._owner, fork, tag, previous_tag)

    def rollback(self, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """Go back to an earlier position that the journal still reaches.

        NotFound (SEQ_NOT_IN_JOURNAL), or InvalidInput for a position that was never reached.
        """
        with self._lane:
            self._require_version(only_if)
            if not 0 <= seq <= self._memory.seq:
                raise InvalidInput(
                    f"Position {seq} is not one of 0..{self._memory.seq}, where {self._name} has been.",
                    hint="Take a position from stats or from an observe result.",
                )
            lost = self._owner.go_back(on.RollbackRequested(seq))
            return RollbackResult(
                memory=self._name,
                seq=seq,
                weight_hash=self._memory.head.snapshot.weight_hash,
                observations_lost=lost,
                warning=_loss_warning(lost),
            )

    def fork(self, tag: Tag, new_name: MemoryName) -> ForkResult:
        """A new memory from a checkpoint, copying no tensor bytes."""
        return self._memory.shelf.fork(self._name, tag, new_name, self._clock().isoformat())

    def keep_time(self, now: datetime | None = None) -> None:
        """Publish a version if one is due by time; to be called now and then. A busy writer waits for the next call.

        Raises Fenced or Unavailable when the writer ended over it; a version that could not be stored is logged.
        """
        if not self._lane.acquire(timeout=_TICK_WAIT_S):
            return
        try:
            if self.is_usable:
                self._owner.drive(on.TimePassed((now or self._clock()).timestamp()))
        finally:
            self._lane.release()


def made(value: T | None) -> T:
    """What a completed request left; Internal when it left nothing."""
    if value is None:
        raise Internal("A completed request left no result.")
    return value


def _loss_warning(lost: int) -> str | None:
    if lost <= LOSS_WARNING_ABOVE:
        return None
    return f"{lost} observations made after this position are no longer in the memory."
