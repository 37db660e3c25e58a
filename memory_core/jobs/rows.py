"""From a file to rows: one text to learn each, or what is wrong with it. One reader per form, none holds a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from memory_core.errors import InvalidInput
from memory_core.jobs.lines import Line, capped_lines
from memory_core.jobs.plan import Form, Reading, SourceFile
from memory_core.request_limits import TEXT_LENGTH_MAX

LABEL_LENGTH_MAX: Final = 256
_SNIFFED_BYTES: Final = 8_192
_PARQUET_ROWS: Final = 512
_DELIMITERS: Final[dict[str, str]] = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A text with its labels, or a ``problem``. line: from 1. end: about how many bytes of the file lie behind it."""

    line: int
    end: int
    text: str = ""
    session: str | None = None
    occurred_at: str | None = None
    memory: str | None = None
    problem: str | None = None


def read_rows(file: IO[bytes], source: SourceFile, reading: Reading) -> Iterator[Row]:
    """The rows of an open file in order. InvalidInput when it is binary, or lacks a field that rows must have."""
    if source.form == "parquet":
        yield from _parquet_rows(file, source, reading)
        return
    require_text(file, source.url)
    readers: dict[Form, Callable[[], Iterator[Row]]] = {
        "jsonl": lambda: _json_rows(file, reading),
        "csv": lambda: _csv_rows(file, source, reading),
        "tsv": lambda: _csv_rows(file, source, reading),
        "text": lambda: _text_rows(file, source, reading, "line"),
        "markdown": lambda: _text_rows(file, source, reading, "paragraph"),
    }
    yield from readers[source.form]()


def require_text(file: IO[bytes], url: str) -> None:
    """InvalidInput (SOURCE_NOT_TEXT) for a binary file; the file is back at its beginning."""
    start = file.read(_SNIFFED_BYTES)
    file.seek(0)
    if b"\0" in start:
        raise InvalidInput(
            f"{url} is not text: it has NUL bytes.",
            code="SOURCE_NOT_TEXT",
            hint="Give text, Markdown, JSONL, CSV or Parquet in UTF-8.",
        )


def missing_field(url: str, name: str, found: list[str]) -> InvalidInput:
    """The error of a file without a field that rows must have."""
    known = ", ".join(map(ascii, found[:20])) or "none"
    return InvalidInput(
        f"{url} has no field {name!r}.", code="FIELD_MISSING", hint=f"Name one of its fields: {known}.", field=name
    )


def _json_rows(file: IO[bytes], reading: Reading) -> Iterator[Row]:
    for line in capped_lines(file):
        if line.text is not None and not line.text.strip():
            continue
        yield _json_row(line, reading)


def _json_row(line: Line, reading: Reading) -> Row:
    if line.text is None:
        return Row(line=line.number, end=line.end, problem=line.problem)
    try:
        entry = json.loads(line.text)
    except (ValueError, RecursionError):
        return Row(line=line.number, end=line.end, problem="the line is not JSON")
    if not isinstance(entry, dict):
        return Row(line=line.number, end=line.end, problem="the line is not a JSON object")
    return _row(line.number, line.end, entry, reading)


class _CsvLines:
    """Lines for the csv module; a bad one raises and the next call goes on behind it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = capped_lines(file)
        self.line = Line(0, "", 0)

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        self.line = next(self._lines)
        if self.line.text is None:
            raise csv.Error(self.line.problem)
        return self.line.text + "\n"


def _csv_rows(file: IO[bytes], source: SourceFile, reading: Reading) -> Iterator[Row]:
    csv.field_size_limit(4 * TEXT_LENGTH_MAX)
    lines = _CsvLines(file)
    reader = csv.reader(lines, delimiter=_DELIMITERS[source.form], strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if header is None:
                raise InvalidInput(
                    f"{source.url} has no header: {error}.", hint="Its first line names fields."
                ) from error
            yield Row(line=lines.line.number, end=lines.line.end, problem=str(error))
            continue
        if header is None:
            header = _checked_header(cells, source, reading)
        elif cells:
            yield _csv_row(lines.line, header, cells, reading)
    if header is None:
        raise InvalidInput(f"{source.url} is empty.", hint="Its first line must name fields.")


def _checked_header(cells: list[str], source: SourceFile, reading: Reading) -> list[str]:
    for name in reading.names:
        if name not in cells:
            raise missing_field(source.url, name, cells)
    return cells


def _csv_row(line: Line, header: list[str], cells: list[str], reading: Reading) -> Row:
    if len(cells) != len(header):
        problem = f"the row has {len(cells)} fields, the header {len(header)}"
        return Row(line=line.number, end=line.end, problem=problem)
    return _row(line.number, line.end, dict(zip(header, cells, strict=True)), reading)


def _text_rows(file: IO[bytes], source: SourceFile, reading: Reading, default: str) -> Iterator[Row]:
    if reading.memory or reading.session or reading.time:
        raise InvalidInput(
            f"{source.url} is plain text and has no fields.", hint="Use JSONL, CSV or Parquet, or name no field."
        )
    split = default if reading.split == "auto" else reading.split
    if split == "line":
        for line in capped_lines(file):
            if line.text is None or line.text.strip():
                yield _text_row([line])
        return
    block: list[Line] = []
    length = 0
    for line in capped_lines(file):
        if line.text is not None and (split == "whole" or line.text.strip()):
            # One line over the limit is enough to refuse the block.
            if length <= TEXT_LENGTH_MAX:
                block.append(line)
            length += len(line.text) + 1
            continue
        yield from _blocks(block)
        block, length = [], 0
        if line.text is None:
            yield _text_row([line])
    yield from _blocks(block)


def _blocks(block: list[Line]) -> Iterator[Row]:
    if any((line.text or "").strip() for line in block):
        yield _text_row(block)


def _text_row(block: list[Line]) -> Row:
    first, last = block[0], block[-1]
    if first.text is None:
        return Row(line=first.number, end=first.end, problem=first.problem)
    text = "\n".join(line.text or "" for line in block).strip()
    return _checked(Row(line=first.number, end=last.end, text=text))


def _parquet_rows(file: IO[bytes], source: SourceFile, reading: Reading) -> Iterator[Row]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(file)
        known = list(table.schema_arrow.names)
        for name in reading.names:
            if name not in known:
                raise missing_field(source.url, name, known)
        number, total = 0, max(table.metadata.num_rows, 1)
        for batch in table.iter_batches(batch_size=_PARQUET_ROWS, columns=list(dict.fromkeys(reading.names))):
            for entry in batch.to_pylist():
                number += 1
                yield _row(number, source.size_bytes * number // total, entry, reading)
    except (ArrowException, OSError) as error:
        raise InvalidInput(
            f"{source.url} cannot be read as Parquet ({type(error).__name__}).",
            code="SOURCE_NOT_READABLE",
            hint="Check the file, or name its format.",
        ) from error


def _row(line: int, end: int, entry: Mapping[str, Any], reading: Reading) -> Row:
    for name in reading.names:
        if entry.get(name) is None and name != reading.time:
            return Row(line=line, end=end, problem=f"the row has no field {ascii(name)}")
    text = entry[reading.text]
    if not isinstance(text, str):
        return Row(line=line, end=end, problem=f"the field {ascii(reading.text)} is no text")
    row = Row(
        line=line,
        end=end,
        text=text,
        session=_label(entry, reading.session),
        occurred_at=_label(entry, reading.time),
        memory=_label(entry, reading.memory),
    )
    return _checked(row)


def _label(entry: Mapping[str, Any], name: str | None) -> str | None:
    value = None if name is None else entry.get(name)
    return None if value is None or value == "" else str(value)


def _checked(row: Row) -> Row:
    problem = _problem(row)
    return row if problem is None else Row(line=row.line, end=row.end, problem=problem)


def _problem(row: Row) -> str | None:
    if not row.text.strip():
        return "the text is empty"
    if len(row.text) > TEXT_LENGTH_MAX:
        return f"the text has {len(row.text)} characters, {TEXT_LENGTH_MAX} are allowed"
    if "\x00" in row.text:
        return "the text has a NUL character"
    if any(len(label or "") > LABEL_LENGTH_MAX for label in (row.session, row.occurred_at, row.memory)):
        return f"a label has more than {LABEL_LENGTH_MAX} characters"
    try:
        "".join((row.text, row.session or "", row.occurred_at or "", row.memory or "")).encode()
    except UnicodeEncodeError:
        return "the text has half a surrogate pair"
    return None
