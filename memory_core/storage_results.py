"""What operations on stored memories take and return: plain frozen values, as in ``results``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from memory_core.ids import MemoryName

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
