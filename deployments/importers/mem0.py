"""mem0: what ``get_all()`` returns, saved as JSON: ``{"results": [{"memory", "metadata", ...}]}`` or the list alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deployments.importers.parsing import as_object, as_text, plain, read_json
from memory_core.errors import InvalidInput
from memory_core.results import Observation

_OWNERS: Final = ("user_id", "agent_id", "app_id", "run_id", "actor_id", "role")
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


def read_mem0(file: Path) -> Iterator[Observation]:
    """One observation per memory, oldest first; its run is the session, who owns or said it travels as metadata."""
    document = read_json(file)
    entries = document.get("results") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise InvalidInput(f"{file.name} has no list of results.", hint="Save what get_all() returns.")
    results = [(place, as_object(raw, f"Result {place}")) for place, raw in enumerate(entries)]
    for position, entry in sorted(results, key=lambda result: _made_at(result[1])):
        owners = {name: entry[name] for name in _OWNERS if entry.get(name)}
        yield Observation(
            text=as_text(entry.get("memory", entry.get("text")), f"The memory of result {position}"),
            session=entry.get("run_id"),
            occurred_at=entry.get("updated_at") or entry.get("created_at"),
            metadata={**plain(entry.get("metadata")), **owners, "source": "mem0"},
        )


def _made_at(entry: dict[str, Any]) -> datetime:
    """mem0 lists memories in the order of random ids, but a memory learns in the order of time."""
    try:
        made = datetime.fromisoformat(str(entry.get("created_at")))
    except ValueError:
        return _BEFORE_ALL
    return made if made.tzinfo else made.replace(tzinfo=UTC)
