"""What a stored state is: the snapshot that heads and checkpoints share, and both manifests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from memory_core.config import MemoryConfig
from memory_core.ids import Epoch, MemoryName, Seq, Tag
from memory_core.lifecycle.rhythm import Unsaved
from memory_core.results import CheckpointInfo
from memory_core.storage.blobs import BlobRef
from memory_core.storage.journal import Run
from memory_core.storage.lineage import Lineage, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A durable state. ``blobs`` by group; None stands for the state that the config creates.

    seq: last position it reflects. size_bytes: of all its blobs.
    """

    seq: Seq
    weight_hash: str
    observation_count: int
    pattern_count: int
    lineage: Lineage
    header: dict[str, Any]
    blobs: dict[str, BlobRef] | None

    @property
    def size_bytes(self) -> int:
        """Bytes of all blobs."""
        return sum(ref.size_bytes for ref in (self.blobs or {}).values())

    @property
    def is_shared(self) -> bool:
        """True when another manifest may name the same blobs."""
        return self.blobs is None or all(ref.is_shared for ref in self.blobs.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        blobs = None if self.blobs is None else {group: ref.to_dict() for group, ref in self.blobs.items()}
        return {
            "seq": self.seq,
            "weight_hash": self.weight_hash,
            "observation_count": self.observation_count,
            "pattern_count": self.pattern_count,
            "size_bytes": self.size_bytes,
            "lineage": [[span.branch, span.last_seq, span.observation_count] for span in self.lineage],
            "header": self.header,
            "blobs": blobs,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Snapshot:
        """Rebuild from ``to_dict``."""
        blobs = raw["blobs"]
        return cls(
            seq=raw["seq"],
            weight_hash=raw["weight_hash"],
            observation_count=raw["observation_count"],
            pattern_count=raw["pattern_count"],
            lineage=tuple(Span(*span) for span in raw["lineage"]),
            header=raw["header"],
            blobs=None if blobs is None else {group: BlobRef.from_dict(ref) for group, ref in blobs.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where recovery starts: a snapshot and the journal runs that follow it.

    number: grows within an epoch. created_at, parent: of the memory. answers: table of idempotent answers.
    skipped: first positions of records in the closed runs on which learning broke; they are never applied.
    singly: first positions of groups in the closed runs that are learned one by one.
    unsaved: what of the snapshot no published version holds.
    """

    epoch: Epoch
    number: int
    config: MemoryConfig
    created_at: str
    parent: str | None
    snapshot: Snapshot
    runs: tuple[Run, ...]
    skipped: tuple[Seq, ...] = ()
    singly: tuple[Seq, ...] = ()
    answers: BlobRef | None = None
    unsaved: Unsaved = Unsaved()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "epoch": self.epoch,
            "number": self.number,
            "config": self.config.to_dict(),
            "created_at": self.created_at,
            "parent": self.parent,
            "snapshot": self.snapshot.to_dict(),
            "runs": [run.to_dict() for run in self.runs],
            "skipped": list(self.skipped),
            "singly": list(self.singly),
            "answers": None if self.answers is None else self.answers.to_dict(),
            "unsaved": self.unsaved.to_dict(),
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Head:
        """Rebuild from ``to_dict``."""
        return cls(
            epoch=raw["epoch"],
            number=raw["number"],
            config=MemoryConfig.from_dict(raw["config"]),
            created_at=raw["created_at"],
            parent=raw["parent"],
            snapshot=Snapshot.from_dict(raw["snapshot"]),
            runs=tuple(map(Run.from_dict, raw["runs"])),
            skipped=tuple(raw["skipped"]),
            singly=tuple(raw["singly"]),
            answers=None if raw["answers"] is None else BlobRef.from_dict(raw["answers"]),
            unsaved=Unsaved.from_dict(raw.get("unsaved") or {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A version published under a tag. It reaches shared blobs only, so a fork copies none.

    epoch, number: of the writer, and growing with each of its checkpoints; together they order a memory's versions.
    has_momentum: False when what the step rule gathered was left out.
    """

    memory: MemoryName
    tag: Tag
    description: str
    created_at: str
    epoch: Epoch
    number: int
    parent: str | None
    has_momentum: bool
    config: MemoryConfig
    snapshot: Snapshot

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the encoder is named twice so that a listing need not know the config."""
        return {
            **{name: value for name, value in asdict(self).items() if name not in {"config", "snapshot"}},
            "encoder": self.config.encoder,
            "encoder_fingerprint": self.config.encoder_fingerprint,
            "config": self.config.to_dict(),
            "snapshot": self.snapshot.to_dict(),
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Checkpoint:
        """Rebuild from ``to_dict``."""
        return cls(
            memory=raw["memory"],
            tag=raw["tag"],
            description=raw["description"],
            created_at=raw["created_at"],
            epoch=raw["epoch"],
            number=raw["number"],
            parent=raw["parent"],
            has_momentum=raw["has_momentum"],
            config=MemoryConfig.from_dict(raw["config"]),
            snapshot=Snapshot.from_dict(raw["snapshot"]),
        )

    def to_info(self) -> CheckpointInfo:
        """The line of the listing."""
        return CheckpointInfo(
            memory=self.memory,
            tag=self.tag,
            seq=self.snapshot.seq,
            weight_hash=self.snapshot.weight_hash,
            size_bytes=self.snapshot.size_bytes,
            created_at=self.created_at,
            description=self.description,
            has_momentum=self.has_momentum,
            observation_count=self.snapshot.observation_count,
            pattern_count=self.snapshot.pattern_count,
        )
