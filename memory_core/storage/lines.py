"""The lines of the listing as keys, so that a page of memories costs a listing and not a read for each.

``lines/<name>!<packed>`` is an empty object; ``packed`` is base64 of the JSON of the rest, cut into parts of 80
characters with ``/`` between, since file systems allow 255. ``!`` comes before every character of a name, so lines have
the order of names. ``names/<name>`` is the authority: a line is written before it and deleted after it, so that no name
lacks its line, and one that crashes left over has no name, or stands beside the right one and is mended.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any, Final

from memory_core.errors import NeuralMemoryError
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import MemoryInfo
from memory_core.storage import keys
from memory_core.storage.documents import canonical_json
from memory_core.storage.object_store import ObjectStore

_PART: Final = 80
_MARK: Final = "!"
# S3 allows 1,024 bytes for a key, with the folder of the volume. A longer line is left empty: the name is read instead.
_PACKED_MAX: Final = 640


@dataclass(frozen=True, slots=True)
class Line:
    """What a key of the listing says; ``info`` None when it says too little."""

    key: str
    uid: str
    info: MemoryInfo | None


def line_key(uid: str, info: MemoryInfo) -> str:
    """The key that holds the line of a memory."""
    rest = [value for field, value in asdict(info).items() if field != "name"]
    packed = base64.urlsafe_b64encode(canonical_json([uid, *rest])).decode().rstrip("=")
    parts = [packed[at : at + _PART] for at in range(0, len(packed), _PART)] if len(packed) <= _PACKED_MAX else [uid]
    return f"{keys.LINES}{info.name}{_MARK}{'/'.join(parts)}"


def lines_after(store: ObjectStore, name: str | None, limit: int) -> dict[MemoryName, list[Line]]:
    """Lines of the names after ``name``, at most ``limit`` of them."""
    # A name is followed by ``!``, so whatever begins with the name and ``"`` comes after its lines.
    after = keys.LINES if name is None else f'{keys.LINES}{name}"'
    found: dict[MemoryName, list[Line]] = defaultdict(list)
    for item in store.list_objects(keys.LINES, start_after=after, limit=limit):
        line = _parse(item.key)
        found[name_of_line(item.key)].append(line)
    return found


def name_of_line(key: str) -> MemoryName:
    """The memory that a line is about."""
    return MemoryName(key.removeprefix(keys.LINES).partition(_MARK)[0])


def _parse(key: str) -> Line:
    packed = key.removeprefix(keys.LINES).partition(_MARK)[2].replace("/", "")
    try:
        values: list[Any] = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        fields = [field for field in MemoryInfo.__dataclass_fields__ if field != "name"]
        rest = dict(zip(fields, values[1:], strict=True))
        rest["placement"] = PlacementSpec.from_dict(rest["placement"])
        return Line(key, values[0], MemoryInfo(name=name_of_line(key), **rest))
    except (ValueError, TypeError, IndexError, NeuralMemoryError):
        return Line(key, packed, None)
