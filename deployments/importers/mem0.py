"""mem0: what ``get_all()`` returns, saved as JSON: ``{"results": [{"memory", "metadata", ...}]}`` or the list alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deployments.importers.parsing import as_object, as_text, plain, read_json
from memory_core.errors import InvalidInput
from memory_core.results import Observation

_OWNERS: Final = ("user_id", "agent_id", "app_id", "run_id")


def read_mem0(file: Path) -> Iterator[Observation]:
    """One observation per memory; its run is the session, who owns it travels as metadata."""
    document = read_json(file)
    entries = document.get("results") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise InvalidInput(f"{file.name} has no list of results.", hint="Save what get_all() returns.")
    for position, raw in enumerate(entries):
        entry = as_object(raw, f"Result {position}")
        owners = {name: entry[name] for name in _OWNERS if entry.get(name)}
        yield Observation(
            text=as_text(entry.get("memory", entry.get("text")), f"The memory of result {position}"),
            session=entry.get("run_id"),
            occurred_at=entry.get("updated_at") or entry.get("created_at"),
            metadata={**plain(entry.get("metadata")), **owners, "source": "mem0"},
        )
