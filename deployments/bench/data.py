"""Reading benchmark data: observations and questions as JSON lines, surprise probes as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from memory_core.errors import InvalidInput

_Kind = TypeVar("_Kind")
NOT_ANSWERABLE: Final = frozenset({"adversarial", "abstention"})


class Row(BaseModel):
    """One observation: what happened, in order."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    text: str
    memory: str
    time: str | None = None
    session: str | None = None


class Question(BaseModel):
    """One question and the observations that answer it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    question: str
    evidence_ids: tuple[str, ...] = ()
    category: str = ""
    memory: str

    @property
    def is_answerable(self) -> bool:
        """True when recall can be measured with it."""
        return bool(self.evidence_ids) and self.category not in NOT_ANSWERABLE


class Probe(BaseModel):
    """A text and how familiar it should be."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    label: str


class SurpriseSet(BaseModel):
    """Texts to learn, and probes to score afterwards."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stored: tuple[str, ...]
    probes: tuple[Probe, ...]


def load_rows(folder: Path) -> list[Row]:
    """Observations of a data folder; InvalidInput names the line that does not fit."""
    adapter = TypeAdapter(Row)
    return [_checked(adapter, line, where) for where, line in _lines(folder / "observations.jsonl")]


def load_questions(folder: Path) -> list[Question]:
    """Questions of a data folder; InvalidInput names the line that does not fit."""
    adapter = TypeAdapter(Question)
    return [_checked(adapter, line, where) for where, line in _lines(folder / "queries.jsonl")]


def load_surprise(file: Path) -> SurpriseSet:
    """A file of probes; InvalidInput when it does not fit."""
    return _checked(TypeAdapter(SurpriseSet), _read(file), str(file))


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_read(file).splitlines(), start=1):
        if line.strip():
            yield f"{file}, line {number}", line


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read ({type(error).__name__}).", hint="Check --data.") from error


def _checked(adapter: TypeAdapter[_Kind], text: str, where: str) -> _Kind:
    try:
        return adapter.validate_python(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise InvalidInput(f"{where} is not in the benchmark format.", hint="See --help for the format.") from error
