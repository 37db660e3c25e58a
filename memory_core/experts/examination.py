"""How well an expert answers: questions that were made from what it was not told."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from memory_core.backend import MemoryBackend
from memory_core.experts.chunk import Chunk
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, InferResult

QUESTIONS_MAX: Final = 200
HITS_AT: Final = 5
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``expected``: names, any of which is a right answer."""

    text: str
    expected: tuple[str, ...]


def generated_questions(chunks: Sequence[Chunk], seed: int = 0) -> tuple[list[Question], str]:
    """At most QUESTIONS_MAX, and how they were made: sentences left out, else half of the words of a passage."""
    draw = random.Random(seed)
    held_out = [chunk for chunk in chunks if chunk.held_out and chunk.held_out not in chunk.text]
    untold = [Question(text=chunk.held_out, expected=(chunk.name,)) for chunk in held_out]
    if untold:
        return draw.sample(untold, min(QUESTIONS_MAX, len(untold))), "sentences that were not taught"
    chosen = draw.sample(list(chunks), min(QUESTIONS_MAX, len(chunks)))
    return [_half(chunk, draw) for chunk in chosen], "half of the words of a passage"


async def recall(backend: MemoryBackend, name: MemoryName, questions: Sequence[Question]) -> float:
    """The share of questions that hit; 0 of none."""
    hits = [await is_hit(backend, name, question) for question in questions]
    return sum(hits) / max(len(hits), 1)


async def is_hit(backend: MemoryBackend, name: MemoryName, question: Question) -> bool:
    """True when one of the first five patterns is about what was expected."""
    answer = await backend.infer(name, question.text, InferOptions(pattern_limit=HITS_AT))
    return any(_is_about(subject, expected) for subject in subjects(answer) for expected in question.expected)


def subjects(answer: InferResult) -> list[str]:
    """What the exemplars of the first five patterns begin with."""
    return [exemplar.text for match in answer.patterns[:HITS_AT] for exemplar in match.exemplars]


def _is_about(text: str, expected: str) -> bool:
    told = text.removeprefix("module ")
    return told == expected or (told.startswith(expected) and told[len(expected)] in "(:")


def _half(chunk: Chunk, draw: random.Random) -> Question:
    words = _WORD.findall(chunk.text)
    kept = sorted(draw.sample(range(len(words)), max(1, len(words) // 2)))
    return Question(text=" ".join(words[place] for place in kept), expected=(chunk.text,))
