"""The reference MCP memory server: ``memory.jsonl`` (``memory.json`` before), entities and relations line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deployments.importers.parsing import as_text, read_lines
from memory_core.results import Observation


def read_mcp_memory(file: Path) -> Iterator[Observation]:
    """One observation per statement about an entity, which is its session, and one per relation.

    A statement carries the name of what it is about, since here nothing else connects them.
    """
    for number, line in read_lines(file):
        where = f"line {number}"
        if line.get("type") == "relation":
            ends = [as_text(line.get(name), f"The {name} of {where}") for name in ("from", "relationType", "to")]
            yield Observation(text=" ".join(ends).replace("_", " ") + ".", metadata={"source": "mcp-memory"})
        elif line.get("type") == "entity":
            name = as_text(line.get("name"), f"The name of {where}")
            kind = as_text(line.get("entityType"), f"The entityType of {where}")
            for said in line.get("observations") or [kind]:
                text = as_text(said, f"An observation of {where}")
                yield Observation(
                    text=text if name.lower() in text.lower() else f"{name}: {text}",
                    session=name,
                    metadata={"source": "mcp-memory", "entity": name, "entity_type": kind},
                )
