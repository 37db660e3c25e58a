"""One thing that a documentation says, with the source it was taken from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

CHUNK_CHARACTERS: Final = 700
WORDS_MIN: Final = 6
WORDS_MAX: Final = 40
_CODE: Final = re.compile(r">>>|[{}<>|\\]|\.\.\.|==|->|__")
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """``name``: what is documented, as its users write it. ``text`` says its name and what it does.

    held_out: a sentence about it that is never taught, to ask for it with; empty where there is none.
    """

    name: str
    text: str
    held_out: str = ""


def first_paragraph(documentation: str) -> str:
    """What comes before the first empty line, on one line, cut at a word."""
    head = re.split(r"\n[ \t]*\n", documentation.strip(), maxsplit=1)[0]
    line = _SPACE.sub(" ", head).strip()
    if len(line) <= CHUNK_CHARACTERS:
        return line
    return line[:CHUNK_CHARACTERS].rpartition(" ")[0] + " …"


def second_sentence(documentation: str) -> str:
    """The first sentence behind the first paragraph, on one line; empty when it is no prose."""
    _, *rest = re.split(r"\n[ \t]*\n", documentation.strip(), maxsplit=1)
    if not rest:
        return ""
    paragraph = re.split(r"\n[ \t]*\n", rest[0], maxsplit=1)[0]
    line = _SPACE.sub(" ", paragraph).strip()
    sentence = re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
    is_prose = not _CODE.search(sentence) and WORDS_MIN <= len(sentence.split()) <= WORDS_MAX
    return sentence if is_prose else ""


def distinct(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Without those that say again what an earlier one said, under whatever name."""
    seen: set[str] = set()
    for chunk in chunks:
        said = chunk.text.removeprefix(chunk.name.rpartition(".")[0])
        if said not in seen:
            seen.add(said)
            yield chunk
