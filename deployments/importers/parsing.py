"""Reading JSON that others wrote, with errors that name the place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_core.errors import InvalidInput
from memory_core.results import Metadata


def read_json(file: Path) -> Any:
    """The document. InvalidInput when it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput(f"{file.name} is no JSON ({type(error).__name__}).", hint="Export it again.") from None


def read_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a file with one in each line, with the line's number; blank lines are left out."""
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError:
                raise InvalidInput(f"Line {number} of {file.name} is no JSON.", hint="One object a line.") from None
            yield number, as_object(found, f"Line {number} of {file.name}")


def as_object(value: Any, what: str) -> dict[str, Any]:
    """The value if it is an object; InvalidInput that names ``what``."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} is no JSON object.", hint="Is it an export of another kind? See --from.")
    return value


def as_text(value: Any, what: str) -> str:
    """The value if it is a text; InvalidInput that names ``what``."""
    if not isinstance(value, str):
        raise InvalidInput(f"{what} is no text.", hint="Is it an export of another kind? See --from.")
    return value


def plain(metadata: Mapping[str, Any] | None) -> Metadata:
    """Entries with plain values; others are kept as JSON, missing ones are left out."""
    kept: Metadata = {}
    for name, value in (metadata or {}).items():
        if value is not None:
            kept[name] = value if isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)
    return kept
