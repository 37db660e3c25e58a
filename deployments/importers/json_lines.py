"""JSON lines of our own: ``{"text", "domain", "session", "occurred_at", "metadata"}``, all but the text optional."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deployments.importers.parsing import as_object, as_text, plain, read_lines
from memory_core.errors import InvalidInput
from memory_core.results import Observation

_FIELDS: Final = frozenset({"text", "domain", "session", "occurred_at", "metadata"})


def read_json_lines(file: Path) -> Iterator[Observation]:
    """One observation a line. InvalidInput for a field that is none."""
    for number, line in read_lines(file):
        if unknown := set(line) - _FIELDS:
            raise InvalidInput(
                f"Line {number} has unknown fields: {', '.join(sorted(map(ascii, unknown)))}.",
                hint=f"Use {', '.join(sorted(_FIELDS))}; put the rest into metadata.",
            )
        labels = {name: line[name] for name in ("domain", "session", "occurred_at") if line.get(name) is not None}
        yield Observation(
            text=as_text(line.get("text"), f"The text of line {number}"),
            metadata=plain(as_object(line.get("metadata") or {}, f"The metadata of line {number}")),
            **{name: as_text(value, f"The {name} of line {number}") for name, value in labels.items()},
        )
