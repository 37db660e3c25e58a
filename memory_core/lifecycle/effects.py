"""What shall be done next. The writer performs one effect at a time and reports its completion as an event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from memory_core.ids import MemoryName, Seq, Tag
from memory_core.lifecycle import events
from memory_core.lifecycle.rhythm import Unsaved


class HeadKind(StrEnum):
    """What a head is published for."""

    SEAL = "seal"
    SNAPSHOT = "snapshot"
    CHECKPOINT = "checkpoint"
    REPLACEMENT = "replacement"


@dataclass(frozen=True, slots=True)
class ClaimEpoch:
    """Create the claim of the next epoch."""


@dataclass(frozen=True, slots=True)
class RecoverMemory:
    """Load the newest head's snapshot and replay the journal that follows it."""


@dataclass(frozen=True, slots=True)
class AppendFrame:
    """Append the group to the journal and sync."""

    first_seq: Seq
    last_seq: Seq


@dataclass(frozen=True, slots=True)
class VerifyEpoch:
    """Look whether a newer claim exists."""


@dataclass(frozen=True, slots=True)
class ApplyGroup:
    """Learn the group."""


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """Hand the answers to the callers."""


@dataclass(frozen=True, slots=True)
class WriteCheckpoint:
    """Store the current state's tensors by content."""

    tag: Tag
    include_momentum: bool


@dataclass(frozen=True, slots=True)
class PublishCheckpoint:
    """Create the manifest under the tag."""

    tag: Tag


@dataclass(frozen=True, slots=True)
class LoadCheckpoint:
    """Read the state of a checkpoint beside the current one. ``source``: the memory it is of, if another one."""

    tag: Tag
    restore_momentum: bool
    source: MemoryName | None = None


@dataclass(frozen=True, slots=True)
class ReplayTo:
    """Rebuild the state of an earlier position, from a head and its journal, beside the current one."""

    seq: Seq


@dataclass(frozen=True, slots=True)
class ComputeConsolidation:
    """Consolidate into a new state beside the current one."""


@dataclass(frozen=True, slots=True)
class ComputeForgetting:
    """Build a new state, without what was chosen, beside the current one."""


@dataclass(frozen=True, slots=True)
class PublishHead:
    """Create the next head; SEAL names the recovered snapshot, the other kinds a newer one.

    unsaved: what of a newer snapshot no version holds.
    """

    kind: HeadKind
    unsaved: Unsaved = Unsaved()


@dataclass(frozen=True, slots=True)
class AdoptState:
    """Make the loaded or computed state the current one."""


@dataclass(frozen=True, slots=True)
class PruneStorage:
    """Delete what the two newest heads do not need."""


@dataclass(frozen=True, slots=True)
class PurgeStorage:
    """Delete all that the newest head and no published version needs. Unlike pruning, it is owed to the caller."""


@dataclass(frozen=True, slots=True)
class PruneVersions:
    """Unpublish versions that nobody asked for and no rule keeps."""


@dataclass(frozen=True, slots=True)
class ReleaseJournal:
    """Close the journal."""


Effect = (
    ClaimEpoch
    | RecoverMemory
    | AppendFrame
    | VerifyEpoch
    | ApplyGroup
    | AnswerGroup
    | WriteCheckpoint
    | PublishCheckpoint
    | LoadCheckpoint
    | ReplayTo
    | ComputeConsolidation
    | ComputeForgetting
    | PublishHead
    | AdoptState
    | PruneStorage
    | PurgeStorage
    | PruneVersions
    | ReleaseJournal
)

COMPLETED_BY: Final[dict[type[Effect], type[events.Completion]]] = {
    ClaimEpoch: events.EpochClaimed,
    RecoverMemory: events.MemoryRecovered,
    AppendFrame: events.FrameAppended,
    VerifyEpoch: events.EpochVerified,
    ApplyGroup: events.GroupApplied,
    AnswerGroup: events.GroupAnswered,
    WriteCheckpoint: events.CheckpointWritten,
    PublishCheckpoint: events.CheckpointPublished,
    LoadCheckpoint: events.CheckpointLoaded,
    ReplayTo: events.JournalReplayed,
    ComputeConsolidation: events.ConsolidationComputed,
    ComputeForgetting: events.ForgettingComputed,
    PublishHead: events.HeadPublished,
    AdoptState: events.StateAdopted,
    PruneStorage: events.StoragePruned,
    PurgeStorage: events.StoragePurged,
    PruneVersions: events.VersionsPruned,
    ReleaseJournal: events.JournalReleased,
}

# Effects that leave the current state and the order of durable things as they were, so a failure ends the request only.
SURVIVABLE: Final[frozenset[type[Effect]]] = frozenset(
    {
        WriteCheckpoint,
        PublishCheckpoint,
        LoadCheckpoint,
        ReplayTo,
        ComputeConsolidation,
        ComputeForgetting,
        PruneStorage,
        PurgeStorage,
        PruneVersions,
        ReleaseJournal,
    }
)
