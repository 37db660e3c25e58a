"""Chroma: the folder of a persistent client, its ``chroma.sqlite3``, or what ``collection.get()`` returns as JSON.

In the database documents are metadata entries under a key of their own, one row per entry; lists have a table of their
own since 1.5, one row per element. Read as written by 1.5.9; collections of several databases may have one name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from deployments.importers.parsing import as_object, as_text, plain, read_json
from memory_core.errors import InvalidInput
from memory_core.results import Observation

_DATABASE: Final = "chroma.sqlite3"
_DOCUMENT: Final = "chroma:document"
_SINGLE: Final = "embedding_metadata"
_LISTS: Final = "embedding_metadata_array"
_ROWS: Final = """
    SELECT e.id, c.name, m.key, m.string_value, m.int_value, m.float_value, m.bool_value
    FROM embeddings e
    JOIN segments s ON s.id = e.segment_id
    JOIN collections c ON c.id = s.collection
    JOIN {table} m ON m.id = e.id
    ORDER BY c.name, e.id, m.rowid
"""


def read_chroma(file: Path) -> Iterator[Observation]:
    """One observation per document; its collection is the domain."""
    database = file / _DATABASE if file.is_dir() else file
    if database.suffix == ".json":
        yield from _from_get(as_object(read_json(database), database.name))
    else:
        yield from _from_database(database)


def _from_get(found: dict[str, Any]) -> Iterator[Observation]:
    documents = found.get("documents")
    if not isinstance(documents, list):
        raise InvalidInput("There is no list of documents in it.", hint="Save what collection.get() returns.")
    metadatas = found.get("metadatas") or [None] * len(documents)
    for position, (document, metadata) in enumerate(zip(documents, metadatas, strict=True)):
        if document is not None:
            text = as_text(document, f"Document {position}")
            yield Observation(text=text, metadata={**plain(metadata), "source": "chroma"})


def _from_database(database: Path) -> Iterator[Observation]:
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            rows = opened.execute(_ROWS.format(table=_SINGLE)).fetchall()
            has_lists = opened.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_LISTS,)).fetchone()
            elements = opened.execute(_ROWS.format(table=_LISTS)).fetchall() if has_lists else []
    except sqlite3.Error as error:
        raise InvalidInput(
            f"{database.name} cannot be read as a Chroma database ({type(error).__name__}).",
            hint="Name the folder of a PersistentClient, its chroma.sqlite3, or the JSON of collection.get().",
        ) from None
    entries: dict[tuple[int, str], dict[str, Any]] = {}
    for entry, collection, key, *values in rows:
        entries.setdefault((entry, collection), {})[key] = _value(values)
    for entry, collection, key, *values in elements:
        entries.setdefault((entry, collection), {}).setdefault(key, []).append(_value(values))
    for (_, collection), metadata in entries.items():
        document = metadata.pop(_DOCUMENT, None)
        if document is not None:
            yield Observation(text=str(document), domain=collection, metadata={**plain(metadata), "source": "chroma"})


def _value(columns: list[Any]) -> Any:
    """The one column that is set: text, integer, fraction or truth."""
    *others, truth = columns
    return next((one for one in others if one is not None), None if truth is None else bool(truth))
