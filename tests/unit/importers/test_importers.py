"""What other memories wrote becomes observations; what does not fit is named by its place."""

from __future__ import annotations

import json
import lzma
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deployments.importers.formats import Source, read_observations
from memory_core.errors import InvalidInput
from memory_core.results import Observation

MADE = Path(__file__).parent / "made"


def write(tmp_path: Path, name: str, content: object) -> Path:
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


@pytest.mark.parametrize("wrap", [lambda results: {"count": 1, "results": results}, lambda results: results])
def test_mem0_results_keep_their_time_run_and_owners(wrap: object, tmp_path: Path) -> None:
    entry = {
        "id": "1", "memory": "Dev works at TechCorp.", "hash": "x", "user_id": "dev", "run_id": "r1", "score": None,
        "metadata": {"type": "professional", "tags": ["a"]}, "created_at": "2026-01-02T03:04:05Z", "updated_at": None,
    }  # fmt: skip
    file = write(tmp_path, "mem0.json", wrap([entry]))  # type: ignore[operator]
    assert read_observations(Source.MEM0, file) == [
        Observation(
            text="Dev works at TechCorp.",
            session="r1",
            occurred_at="2026-01-02T03:04:05Z",
            metadata={"type": "professional", "tags": '["a"]', "user_id": "dev", "run_id": "r1", "source": "mem0"},
        )
    ]


def test_mem0_results_are_learned_in_the_order_of_time(tmp_path: Path) -> None:
    times = {"b": "2026-01-02T00:00:00+00:00", "a": "2026-01-01T20:00:00-07:00", "c": "2026-01-02T04:00:00Z"}
    results = [{"memory": name, "created_at": time} for name, time in times.items()] + [{"memory": "no time"}]
    found = read_observations(Source.MEM0, write(tmp_path, "mem0.json", results))
    assert [one.text for one in found] == ["no time", "b", "a", "c"]


def test_statements_of_the_reference_server_say_what_they_are_about(tmp_path: Path) -> None:
    lines = [
        {"type": "entity", "name": "David", "entityType": "person", "observations": ["Speaks Spanish", "David is 40"]},
        {"type": "entity", "name": "Acme", "entityType": "company", "observations": []},
        {"type": "relation", "from": "David", "to": "Acme", "relationType": "works_at"},
    ]
    file = write(tmp_path, "memory.jsonl", "\n".join(map(json.dumps, lines)))
    found = read_observations(Source.MCP_MEMORY, file)
    assert [one.text for one in found] == [
        "David: Speaks Spanish",
        "David is 40",
        "Acme: company",
        "David works at Acme.",
    ]
    assert (found[0].session, found[0].metadata["entity_type"]) == ("David", "person")


def test_lines_of_our_own_keep_every_field(tmp_path: Path) -> None:
    line = {"text": "a b", "domain": "d", "session": "s", "occurred_at": "2026-01-01", "metadata": {"page": 3}}
    file = write(tmp_path, "x.jsonl", json.dumps(line) + "\n\n")
    assert read_observations(Source.JSONL, file) == [Observation(**line)]  # type: ignore[arg-type]


def test_documents_of_a_chroma_collection_saved_as_json(tmp_path: Path) -> None:
    saved = {"ids": ["a", "b"], "documents": ["one text", None], "metadatas": [{"n": 1}, None], "embeddings": None}
    found = read_observations(Source.CHROMA, write(tmp_path, "get.json", saved))
    assert found == [Observation(text="one text", metadata={"n": 1, "source": "chroma"})]


def chroma_store(folder: Path) -> Path:
    """A database with the tables that chromadb 1.x makes, as far as documents are in them."""
    opened = sqlite3.connect(folder / "chroma.sqlite3")
    opened.executescript("""
        CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT NOT NULL, dimension INTEGER, database_id TEXT);
        CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL, collection TEXT);
        CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT, seq_id BLOB);
        CREATE TABLE embedding_metadata (id INTEGER, key TEXT, string_value TEXT, int_value INTEGER, float_value REAL,
            bool_value INTEGER, PRIMARY KEY (id, key));
        CREATE TABLE embedding_metadata_array (id INTEGER, key TEXT, string_value TEXT, int_value INTEGER,
            float_value REAL, bool_value INTEGER);
        INSERT INTO collections (id, name) VALUES ('c', 'notes'), ('d', 'notes');
        INSERT INTO segments VALUES ('s', 'urn:chroma:segment/metadata/sqlite', 'METADATA', 'c'),
            ('t', 'urn:chroma:segment/metadata/sqlite', 'METADATA', 'd');
        INSERT INTO embeddings (id, segment_id, embedding_id) VALUES (1, 's', 'a'), (2, 's', 'b'), (3, 't', 'a');
        INSERT INTO embedding_metadata (id, key, string_value, int_value) VALUES
            (1, 'chroma:document', 'Glass is made of sand.', NULL), (1, 'page', NULL, 7),
            (2, 'chroma:document', 'Two.', NULL), (3, 'chroma:document', 'Another database.', NULL);
        INSERT INTO embedding_metadata_array (id, key, string_value) VALUES (2, 'tags', 'x'), (2, 'tags', 'y');
    """)
    opened.commit()
    opened.close()
    return folder


@pytest.mark.parametrize("name", ["", "chroma.sqlite3"])
def test_a_chroma_store_is_read_from_its_folder_or_file(name: str, tmp_path: Path) -> None:
    found = read_observations(Source.CHROMA, chroma_store(tmp_path) / name)
    texts = ["Glass is made of sand.", "Two.", "Another database."]
    assert [(one.text, one.domain) for one in found] == [(text, "notes") for text in texts]
    assert found[0].metadata == {"page": 7, "source": "chroma"}
    assert found[1].metadata == {"tags": '["x", "y"]', "source": "chroma"}


def test_a_database_that_chromadb_made_is_read_whole(tmp_path: Path) -> None:
    """Fifty notes, and a collection where one was deleted, one changed, one has no document (chromadb 1.5.9)."""
    (tmp_path / "chroma.sqlite3").write_bytes(lzma.decompress((MADE / "chroma-1.5.9.sqlite3.xz").read_bytes()))
    found = read_observations(Source.CHROMA, tmp_path)
    notes, work = ([one for one in found if one.domain == name] for name in ("notes", "work"))
    assert [one.text for one in notes] == [f"Note {number}: glass {number} is made of sand." for number in range(50)]
    assert notes[3].metadata == {"page": 3, "ratio": 1.5, "hot": False, "who": "ann", "source": "chroma"}
    assert [one.text for one in work] == ["The ferry leaves at noon.", "It was changed.", "It has tags."]
    assert work[2].metadata == {"tags": '["a", "b"]', "source": "chroma"}


def test_what_mem0_gave_is_read_whole() -> None:
    """What get_all() of mem0 2.2.1 returned for three memories that were added in this order."""
    found = read_observations(Source.MEM0, MADE / "mem0-2.2.1.json")
    assert [one.text for one in found] == ["The harbour opens at six.", "The ferry leaves at noon.", "Ann prefers tea."]
    assert (found[0].session, found[0].metadata["topic"], found[0].metadata["role"]) == ("r1", "beach", "user")


def test_a_chroma_store_from_before_lists_is_read_too(tmp_path: Path) -> None:
    store = chroma_store(tmp_path)
    with closing(sqlite3.connect(store / "chroma.sqlite3")) as opened:
        opened.execute("DROP TABLE embedding_metadata_array")
        opened.commit()
    assert len(read_observations(Source.CHROMA, store)) == 3


@pytest.mark.parametrize(
    ("source", "content", "message"),
    [
        (Source.MEM0, "{", "no JSON"),
        (Source.MEM0, {"memories": []}, "no list of results"),
        (Source.MEM0, [{"id": 1}], "memory of result 0"),
        (Source.MEM0, [], "nothing to learn"),
        (Source.MCP_MEMORY, "[1]", "Line 1"),
        (Source.MCP_MEMORY, '{"type": "entity", "name": "x"}', "entityType of line 1"),
        (Source.JSONL, '{"text": "a", "topic": "b"}', "unknown fields: 'topic'"),
        (Source.JSONL, '{"text": " "}', "entry 0"),
        (Source.CHROMA, "not a database", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(source: Source, content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_observations(source, write(tmp_path, "file", content))
