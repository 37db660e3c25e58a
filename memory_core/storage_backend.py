"""The part of the seam that moves, checks and cleans what is stored. See ``backend``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from memory_core.ids import MemoryName, Tag
from memory_core.storage_results import (
    CollectResult,
    Export,
    ExportFormat,
    ImportResult,
    PruneResult,
    RetentionPolicy,
    VerifyReport,
)


class StorageBackend(Protocol):
    """Every method raises ``NeuralMemoryError`` subclasses only; an unknown name raises NotFound."""

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """A checkpoint, or without a tag the memory as it is now, as one file. NotFound comes before the first byte.

        ``nmem`` can be imported; ``jsonl`` is for people: every exemplar on a line.
        """
        ...

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """A new memory from a ``.nmem`` file; it exists when all of it was checked, or not at all.

        Conflict (MEMORY_EXISTS, ENCODER_MISMATCH), InvalidInput (ARCHIVE_INVALID, ARCHIVE_TRUNCATED, ARCHIVE_VERSION,
        ARCHIVE_NOT_TRUSTED), TooLarge.
        """
        ...

    async def verify(self, name: MemoryName | None = None) -> VerifyReport:
        """Read again all that a memory reaches, or without a name all that belongs to no single memory. Read-only."""
        ...

    async def delete_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        """Unpublish a version; memories made from it stay. NotFound (CHECKPOINT_NOT_FOUND)."""
        ...

    async def retention(self, name: MemoryName) -> RetentionPolicy:
        """By which rules ``prune`` works on a memory."""
        ...

    async def set_retention(self, name: MemoryName, policy: RetentionPolicy) -> RetentionPolicy:
        """Replace the rules; deletes nothing."""
        ...

    async def prune(
        self, name: MemoryName, *, policy: RetentionPolicy | None = None, is_dry_run: bool = False
    ) -> PruneResult:
        """Unpublish the versions that no rule (of ``policy``, else of the memory) keeps."""
        ...

    async def collect_garbage(self, *, grace_s: float = 3600.0, is_dry_run: bool = False) -> CollectResult:
        """Delete what nothing on the volume reaches and what has lain for ``grace_s``; safe beside all other work."""
        ...
