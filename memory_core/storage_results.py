"""What operations on stored memories take and return: plain frozen values, as in ``results``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, Tag

ExportFormat = Literal["nmem", "jsonl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A memory as a file, in pieces. ``size_bytes`` None: known at the end only."""

    size_bytes: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """A memory made from an archive. ``source``: the name it had where it was exported, with its tag if it had one."""

    memory: MemoryName
    source: str
    weight_hash: str
    observation_count: int
    pattern_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A stored object that is not what it should be."""

    key: str
    cause: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What reading everything again found. ``memory`` None: what belongs to no single memory."""

    memory: MemoryName | None
    is_intact: bool
    objects_checked: int
    bytes_checked: int
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Which checkpoints ``prune`` keeps: every one that any rule keeps. Without a number nothing is ever pruned.

    keep_last: so many of the newest. keep_younger_than_s: younger than that. keep_tagged: all but periodic ones, whose
    tags begin with ``auto-``; without it the numbers are about all checkpoints.
    """

    keep_last: int | None = None
    keep_younger_than_s: int | None = None
    keep_tagged: bool = True

    @property
    def has_rule(self) -> bool:
        """False when it keeps everything."""
        return self.keep_last is not None or self.keep_younger_than_s is not None

    def __post_init__(self) -> None:
        for name in ("keep_last", "keep_younger_than_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1 << 40:
                raise InvalidInput(f"{name} must not be negative.", hint="Give 0 or more, or leave it out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    """Checkpoints that a pruning removed, or would remove. Their blobs go with the next garbage collection."""

    memory: MemoryName
    is_dry_run: bool
    removed: tuple[Tag, ...]
    kept_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectResult:
    """What a garbage collection removed, or would remove.

    orphans: remains of memories that have no name. leftovers: of crashes. bytes: of blobs and orphans.
    """

    is_dry_run: bool
    blobs_removed: int
    bytes_removed: int
    orphans_removed: int
    leftovers_removed: int
