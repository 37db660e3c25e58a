"""Rows of a job as Arrow tables, which is how they travel between processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from memory_core.jobs.rows import Row
from memory_core.jobs.windows import PlacedRow
from memory_core.results import EncodedText

_ROW: Final = ("line", "end", "text", "session", "occurred_at", "memory", "problem")
_READ: Final = pa.schema(
    [
        ("file", pa.int32()),
        ("number", pa.int64()),
        ("line", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.large_string()),
        ("session", pa.string()),
        ("occurred_at", pa.string()),
        ("memory", pa.string()),
        ("problem", pa.string()),
    ]
)


def read_block(rows: Sequence[PlacedRow]) -> pa.Table:
    """Rows without keys."""
    columns = {
        "file": [one.file for one in rows],
        "number": [one.number for one in rows],
        **{name: [getattr(one.row, name) for one in rows] for name in _ROW},
    }
    return pa.table(columns, schema=_READ)


def with_encoded(table: pa.Table, encoded: Sequence[EncodedText | None]) -> pa.Table:
    """The table with the keys of its texts: float32 and int32 of any number of segments, as bytes."""
    keys = [None if one is None else one.keys_SD.tobytes() for one in encoded]
    spans = [None if one is None else np.array(one.spans, dtype=np.int32).tobytes() for one in encoded]
    return table.append_column("keys", pa.array(keys, pa.large_binary())).append_column(
        "spans", pa.array(spans, pa.large_binary())
    )


def rows_of(table: pa.Table) -> list[PlacedRow]:
    """Inverse of ``read_block`` and ``with_encoded``."""
    return [
        PlacedRow(
            entry["file"],
            entry["number"],
            Row(**{name: entry[name] for name in _ROW}),
            encoded_of(entry["text"], entry["keys"], entry["spans"]),
        )
        for entry in table.to_pylist()
    ]


def encoded_of(text: str, keys: bytes | None, spans: bytes | None) -> EncodedText | None:
    """The keys of a text from their bytes."""
    if keys is None or spans is None:
        return None
    spans_S2 = np.frombuffer(spans, dtype=np.int32).reshape(-1, 2)
    keys_SD = np.frombuffer(keys, dtype=np.float32).reshape(len(spans_S2), -1)
    return EncodedText(text=text, spans=tuple((int(start), int(end)) for start, end in spans_S2), keys_SD=keys_SD)
