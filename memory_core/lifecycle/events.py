"""What happened to a memory: requests that came in, and effects that completed."""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.ids import Epoch, MemoryName, Seq, Tag
from memory_core.lifecycle.rhythm import Unsaved


@dataclass(frozen=True, slots=True)
class OpenRequested:
    """A process wants to own the memory."""


@dataclass(frozen=True, slots=True)
class ObserveAccepted:
    """A group of observe requests was given the positions first_seq..last_seq."""

    first_seq: Seq
    last_seq: Seq


@dataclass(frozen=True, slots=True)
class CheckpointRequested:
    """The current state shall be published under a tag."""

    tag: Tag
    include_momentum: bool = True


@dataclass(frozen=True, slots=True)
class RestoreRequested:
    """The state of a checkpoint shall become the current one. ``source``: the memory it is of, if another one."""

    tag: Tag
    restore_momentum: bool = True
    source: MemoryName | None = None


@dataclass(frozen=True, slots=True)
class RollbackRequested:
    """The state at an earlier position of the journal shall become the current one."""

    seq: Seq


@dataclass(frozen=True, slots=True)
class ConsolidateRequested:
    """The state shall be consolidated."""


@dataclass(frozen=True, slots=True)
class ForgetRequested:
    """What was chosen beforehand shall leave the state and every file that no published version holds."""


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """The owner gives the memory up: drained, passivated, shut down, or (without a fold) about to be deleted."""

    must_fold: bool = True


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Somebody looked at the clock; ``now_s`` is in seconds since 1970."""

    now_s: float


@dataclass(frozen=True, slots=True)
class EpochClaimed:
    """The claim of this epoch is in storage."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class MemoryRecovered:
    """Snapshot loaded and journal of so many records and bytes replayed up to ``seq``.

    ``unsaved``: what of the snapshot no version holds.
    """

    snapshot_seq: Seq
    seq: Seq
    journal_records: int
    journal_bytes: int
    unsaved: Unsaved = Unsaved()


@dataclass(frozen=True, slots=True)
class FrameAppended:
    """The group is durable."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class EpochVerified:
    """No newer claim exists."""


@dataclass(frozen=True, slots=True)
class GroupApplied:
    """The state reflects the group."""


@dataclass(frozen=True, slots=True)
class GroupAnswered:
    """The group's callers have their answers."""


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """The tensors of the checkpoint are stored."""


@dataclass(frozen=True, slots=True)
class CheckpointPublished:
    """The checkpoint exists under its tag."""


@dataclass(frozen=True, slots=True)
class CheckpointLoaded:
    """A checkpoint was read and checked; the current state is as it was."""


@dataclass(frozen=True, slots=True)
class JournalReplayed:
    """The state of an earlier position exists in RAM beside the current one."""


@dataclass(frozen=True, slots=True)
class ConsolidationComputed:
    """A consolidated state exists in RAM beside the current one."""


@dataclass(frozen=True, slots=True)
class ForgettingComputed:
    """A state without what was chosen exists in RAM beside the current one."""


@dataclass(frozen=True, slots=True)
class HeadPublished:
    """A recovery would start from this head; its snapshot reflects ``snapshot_seq``."""

    snapshot_seq: Seq


@dataclass(frozen=True, slots=True)
class StateAdopted:
    """The loaded or computed state, which the newest head names, is the current one. Its position may be smaller."""

    seq: Seq


@dataclass(frozen=True, slots=True)
class StoragePruned:
    """What the two newest heads do not need is gone."""


@dataclass(frozen=True, slots=True)
class StoragePurged:
    """What the newest head does not need is gone."""


@dataclass(frozen=True, slots=True)
class VersionsPruned:
    """Versions that nobody asked for and no rule keeps are unpublished."""


@dataclass(frozen=True, slots=True)
class JournalReleased:
    """No handle is open any more."""


@dataclass(frozen=True, slots=True)
class NewerEpochSeen:
    """Another writer owns the memory."""


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """The effect that was to be performed raised; what it changed is unknown."""


Planned = (
    OpenRequested
    | ObserveAccepted
    | CheckpointRequested
    | RestoreRequested
    | RollbackRequested
    | ConsolidateRequested
    | ForgetRequested
    | CloseRequested
)
Request = Planned | TimePassed
Completion = (
    EpochClaimed
    | MemoryRecovered
    | FrameAppended
    | EpochVerified
    | GroupApplied
    | GroupAnswered
    | CheckpointWritten
    | CheckpointPublished
    | CheckpointLoaded
    | JournalReplayed
    | ConsolidationComputed
    | ForgettingComputed
    | HeadPublished
    | StateAdopted
    | StoragePruned
    | StoragePurged
    | VersionsPruned
    | JournalReleased
)
Event = Request | Completion | NewerEpochSeen | EffectFailed
