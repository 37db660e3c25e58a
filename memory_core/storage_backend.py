"""The part of the seam that moves, checks and cleans what is stored. See ``backend``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from memory_core.ids import MemoryName, Tag
from memory_core.storage_results import Export, ExportFormat, ImportResult


class StorageBackend(Protocol):
    """Every method raises ``NeuralMemoryError`` subclasses only; an unknown name raises NotFound."""

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """A checkpoint, or without a tag the memory as it is now, as one file. NotFound comes before the first byte.

        ``nmem`` can be imported; ``jsonl`` is for people: every exemplar on a line.
        """
        ...

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """A new memory from a ``.nmem`` file; it exists when all of it was checked, or not at all.

        Conflict (MEMORY_EXISTS, ENCODER_MISMATCH), InvalidInput (ARCHIVE_INVALID, ARCHIVE_TRUNCATED, ARCHIVE_VERSION),
        TooLarge.
        """
        ...
