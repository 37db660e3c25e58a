"""The formats by name, and reading one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from deployments.importers.chroma import read_chroma
from deployments.importers.json_lines import read_json_lines
from deployments.importers.mcp_memory import read_mcp_memory
from deployments.importers.mem0 import read_mem0
from deployments.text_rules import check_observation
from memory_core.errors import InvalidInput
from memory_core.results import Observation


class Source(StrEnum):
    """Where a file comes from."""

    NMEM = "nmem"
    MEM0 = "mem0"
    CHROMA = "chroma"
    MCP_MEMORY = "mcp-memory-json"
    JSONL = "jsonl"


_READERS: Final[dict[Source, Callable[[Path], Iterator[Observation]]]] = {
    Source.MEM0: read_mem0,
    Source.CHROMA: read_chroma,
    Source.MCP_MEMORY: read_mcp_memory,
    Source.JSONL: read_json_lines,
}


def read_observations(source: Source, file: Path) -> list[Observation]:
    """All of them, in the order of the file. InvalidInput that names the place of one that cannot be learned."""
    found = list(_READERS[source](file))
    if not found:
        raise InvalidInput(f"{file.name} holds nothing to learn.", hint=f"Is it really an export of {source.value}?")
    for position, observation in enumerate(found):
        check_observation(observation, f"entry {position}")
    return found
