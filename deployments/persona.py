"""Whom the page introduces: a name, a role, what it has to say, and the documents that its memory is taught from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, parse_memory_name
from memory_core.results import Observation

OWN: Final = Path(__file__).parent / "demo" / "persona.yaml"
_ROOT: Final = Path(__file__).parents[1]
_PARAGRAPH_MIN: Final = 40
_PARAGRAPH_MAX: Final = 1200


class Objection(BaseModel):
    """What a visitor may say against it, and the answer."""

    model_config = ConfigDict(extra="forbid")

    objection: str
    answer: str


class Persona(BaseModel):
    """memory: its name. documents: files of Markdown, beside the persona's own or in the project's folder."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: str
    memory: str = "advocate"
    greeting: str = ""
    questions: list[str] = []
    talking_points: list[str] = []
    objections: list[Objection] = []
    documents: list[str] = []

    @property
    def memory_name(self) -> MemoryName:
        """Where its knowledge is."""
        return parse_memory_name(self.memory)

    @property
    def system(self) -> str:
        """What a language model is told about itself."""
        points = "\n".join(f"- {point}" for point in self.talking_points)
        answers = "\n".join(f"- {one.objection} {one.answer}" for one in self.objections)
        return (
            f"You are {self.name}, {self.role}. Be brief, concrete and honest; say so when you do not know.\n"
            f"What you want people to know:\n{points}\nWhat people object, and what you answer:\n{answers}"
        )

    def lessons(self, beside: Path) -> list[Observation]:
        """What its memory is taught: its own words, then the paragraphs of its documents that are there."""
        own = [Observation(text=point, domain="talking points") for point in self.talking_points]
        own += [Observation(text=f"{one.objection} {one.answer}", domain="objections") for one in self.objections]
        for document in self.documents:
            found = _found(document, beside)
            if found is not None:
                own += [Observation(text=text, domain=document) for text in paragraphs(found.read_text("utf-8"))]
        return own

    def require_documents(self, beside: Path) -> None:
        """InvalidInput when a document is not there."""
        missing = [document for document in self.documents if _found(document, beside) is None]
        if missing:
            raise InvalidInput(
                f"The persona {self.name} names documents that are not there: {', '.join(missing)}.",
                hint=f"Put them beside the persona, in {beside}, or take them out of its documents.",
            )


def load_persona(path: Path) -> Persona:
    """Read a persona; InvalidInput when the file is not one."""
    try:
        return Persona.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        reason = _field_at_fault(error) if isinstance(error, ValidationError) else type(error).__name__
        raise InvalidInput(
            f"The persona {path} cannot be read: {reason}.",
            hint="It is YAML with name, role, talking_points, objections and documents; see docs/page.md.",
        ) from None


def _found(document: str, beside: Path) -> Path | None:
    return next((path for path in (beside / document, _ROOT / document) if path.is_file()), None)


def _field_at_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def paragraphs(markdown: str) -> Iterator[str]:
    """Paragraphs and list entries of a text in Markdown, under their headings; code and tables are left out."""
    heading, is_code, lines = "", False, list[str]()
    for line in [*markdown.splitlines(), ""]:
        stripped = line.strip()
        if stripped.startswith("```"):
            is_code = not is_code
            continue
        if is_code or stripped.startswith(("|", "![")):
            continue
        if stripped.startswith("#") or not stripped or stripped.startswith(("- ", "* ")):
            text = " ".join(lines)
            if len(text) >= _PARAGRAPH_MIN:
                yield f"{heading}: {text}"[:_PARAGRAPH_MAX] if heading else text[:_PARAGRAPH_MAX]
            lines = [stripped[2:]] if stripped.startswith(("- ", "* ")) else []
            heading = stripped.lstrip("# ") if stripped.startswith("#") else heading
            continue
        lines.append(stripped)
