"""Every form of file becomes rows; what is wrong with a row or a file is said with its line."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from pathlib import Path

import pytest

from memory_core.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from memory_core.jobs.lines import LINE_BYTES_MAX, capped_lines
from memory_core.jobs.plan import Form, Reading, SourceFile
from memory_core.jobs.rows import Row, read_rows
from memory_core.jobs.sources import find_files, open_rows, require_allowed, require_unchanged
from tests.unit.jobs.conftest import Corpus


def rows(content: bytes, form: Form, **reading: str) -> list[Row]:
    source = SourceFile(url="file:///a", size_bytes=len(content), stamp="", form=form)
    return list(read_rows(io.BytesIO(content), source, Reading(**reading)))


def told(found: list[Row]) -> list[tuple[int, str]]:
    return [(row.line, row.problem or row.text) for row in found]


def test_json_lines_carry_text_session_time_and_memory() -> None:
    content = b'{"t": "A fact.", "s": 3, "at": "2026-01-02", "m": "one"}\n\n{"t": "Another.", "s": 4, "m": "two"}'
    first, second = rows(content, "jsonl", text="t", session="s", time="at", memory="m")
    assert (first.text, first.session, first.occurred_at, first.memory) == ("A fact.", "3", "2026-01-02", "one")
    assert (second.line, second.session, second.occurred_at, second.end) == (3, "4", None, len(content))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "the line is not JSON"),
        (b"[1]", "the line is not a JSON object"),
        (b'{"other": "x"}', "the row has no field 'text'"),
        (b'{"text": 7}', "the field 'text' is no text"),
        (b'{"text": "  "}', "the text is empty"),
        (b'{"text": "a\\u0000b"}', "the text has a NUL character"),
        (b'{"text": "\\ud800"}', "the text has half a surrogate pair"),
        (b'{"text": "\xff"}', "the line is not UTF-8: byte 10 does not fit"),
        (b'{"text": "' + b"a" * 300_000 + b'"}', "the text has 300000 characters, 262144 are allowed"),
    ],
)
def test_a_bad_line_is_named_and_its_neighbours_are_read(line: bytes, problem: str) -> None:
    found = rows(b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n', "jsonl")
    assert told(found) == [(1, "before"), (2, problem), (3, "after")]


def test_csv_rows_may_span_lines_and_bad_ones_are_passed_over() -> None:
    content = b'id,text\n1,"two\nlines"\n2\n3,"no ""end"" "x\n4,last\n'
    assert told(rows(content, "csv")) == [
        (3, "two\nlines"),
        (4, "the row has 1 fields, the header 2"),
        (5, "',' expected after '\"'"),
        (6, "last"),
    ]


def test_a_csv_without_the_column_is_refused_with_those_it_has() -> None:
    with pytest.raises(InvalidInput) as caught:
        rows(b"id,body\n1,x\n", "csv")
    assert caught.value.code == "FIELD_MISSING"
    assert "'id', 'body'" in caught.value.hint


def test_plain_text_is_cut_into_lines_and_markdown_into_paragraphs() -> None:
    content = b"# Title\nFirst line.\n\nSecond paragraph\nof two lines.\n"
    assert told(rows(content, "text")) == [
        (1, "# Title"),
        (2, "First line."),
        (4, "Second paragraph"),
        (5, "of two lines."),
    ]
    assert told(rows(content, "markdown")) == [(1, "# Title\nFirst line."), (4, "Second paragraph\nof two lines.")]
    assert len(rows(content, "markdown", split="whole")) == 1


def test_a_binary_file_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        rows(b"\x89PNG\r\n\0\0", "text")
    assert caught.value.code == "SOURCE_NOT_TEXT"


class Endless(io.RawIOBase):
    """A file of one line of ``size`` bytes, a short one behind it, made while it is read."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._tail = b"\n" + b'{"text": "after"}\n'

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            tail, self._tail = self._tail, b""
            return tail
        size = min(size, self._left)
        self._left -= size
        return b"a" * size


def test_a_line_of_a_gigabyte_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        first, second = capped_lines(Endless(1 << 30))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert first.problem == f"the line is over {LINE_BYTES_MAX} bytes"
    assert (second.number, second.text, second.end) == (2, '{"text": "after"}', (1 << 30) + 19)
    assert peak < 16 << 20


def test_lines_are_the_same_wherever_pieces_end(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"\xef\xbb\xbfone\r\ntwo\n" + b"x" * 40 + b"\nthree"
    for piece in range(1, 50):
        monkeypatch.setattr("memory_core.jobs.lines._PIECE_BYTES", piece)
        found = list(capped_lines(io.BytesIO(content), cap=20))
        assert [line.text for line in found] == ["one", "two", None, "three"]
        assert found[-1].end == len(content)


def test_parquet_is_read_in_pieces_and_must_have_its_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts = [f"fact {number}" for number in range(1500)]
    parquet.write_table(pa.table({"body": texts, "more": [1] * 1500}), tmp_path / "a.parquet", row_group_size=400)
    (file,) = find_files(str(tmp_path / "a.parquet"), Reading(text="body"))
    assert [row.text for row in open_rows(file, Reading(text="body"), skip=3)] == texts[3:]
    with pytest.raises(InvalidInput) as caught:
        find_files(str(tmp_path / "a.parquet"), Reading())
    assert caught.value.code == "FIELD_MISSING"
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InvalidInput) as caught:
        find_files(str(tmp_path / "b.parquet"), Reading())
    assert caught.value.code == "SOURCE_NOT_READABLE"


class TestFinding:
    def test_patterns_folders_and_packed_files(self, tmp_path: Path) -> None:
        (tmp_path / "b.txt").write_text("two\n")
        (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\n"))
        (tmp_path / "c.png").write_bytes(b"\0\0")
        for source in (str(tmp_path), f"{tmp_path}/*.txt*", f"file://{tmp_path}/*.txt*"):
            files = find_files(source, Reading())
            assert [next(iter(open_rows(file, Reading()))).text for file in files] == ["one", "two"]

    @pytest.mark.parametrize(
        ("source", "kind", "code"),
        [
            ("{folder}/*.jsonl", NotFound, "SOURCE_NOT_FOUND"),
            ("{folder}/nothing.txt", NotFound, "SOURCE_NOT_FOUND"),
            ("{folder}/a.xyz", InvalidInput, "SOURCE_FORMAT"),
            ("{folder}/binary.txt", InvalidInput, "SOURCE_NOT_TEXT"),
            ("{folder}/a.csv", InvalidInput, "FIELD_MISSING"),
            ("{folder}/a.jsonl.gz", InvalidInput, "SOURCE_NOT_READABLE"),
            ("nowhere://bucket/a.txt", InvalidInput, "SOURCE_INVALID"),
            ("zip://a.txt::file:///b.zip", InvalidInput, "SOURCE_INVALID"),
            ("http://127.0.0.1:9/a.txt", (NotFound, Unavailable), None),
        ],
    )
    def test_what_cannot_be_read_is_refused_before_a_start(
        self, tmp_path: Path, source: str, kind: type[Exception], code: str | None
    ) -> None:
        (tmp_path / "a.xyz").write_text("x\n")
        (tmp_path / "binary.txt").write_bytes(b"\0\1\2")
        (tmp_path / "a.csv").write_text("id,body\n1,x\n")
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"no json\n"))
        with pytest.raises(kind) as caught:
            find_files(source.format(folder=tmp_path), Reading())
        assert code is None or caught.value.code == code  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/passwd",
            "file:///data/../etc/passwd",
            "file:///database/a",
            "s3://corpus-other/a",
            "s3://corpus/x/../../other/a",
            "s3://corpus/%2e%2e/other",
            "https://user@example.org/docs/a",
            "https://example.org.evil.net/docs/a",
            "http://169.254.169.254/latest",
        ],
    )
    def test_only_allowed_places_are_read(self, url: str) -> None:
        allowed = ("file:///data/", "s3://corpus/", "https://example.org/docs")
        with pytest.raises(Forbidden):
            require_allowed(url, allowed)
        require_allowed("s3://corpus/a/b.jsonl", allowed)
        require_allowed("https://example.org/docs/a.txt", allowed)

    def test_a_link_out_of_an_allowed_folder_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "secret.txt").write_text("secret\n")
        (tmp_path / "data" / "a.txt").symlink_to(tmp_path / "secret.txt")
        with pytest.raises(Forbidden):
            find_files(f"{tmp_path}/data", Reading(), allowed=(f"file://{tmp_path}/data/",))


def test_a_source_that_changed_since_is_noticed(corpus: Corpus) -> None:
    corpus.write("a.jsonl", [{"text": "one"}])
    plan = corpus.plan()
    require_unchanged(plan)
    corpus.write("b.jsonl", [{"text": "another file does not matter"}])
    require_unchanged(plan)
    corpus.write("a.jsonl", [{"text": "one"}, {"text": "two"}])
    with pytest.raises(Conflict) as caught:
        require_unchanged(plan)
    assert caught.value.code == "SOURCE_CHANGED"


def test_a_file_that_became_unreadable_is_one_bad_row(corpus: Corpus) -> None:
    corpus.write("a.jsonl", [{"text": "one"}])
    plan = corpus.plan()
    (corpus.folder / "a.jsonl").write_bytes(b"\0\0")
    assert told(list(open_rows(plan.files[0], plan.reading))) == [
        (0, f"file://{corpus.folder}/a.jsonl is not text: it has NUL bytes.")
    ]
