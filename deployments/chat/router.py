"""One question to several memories: choose which to ask, and merge what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from memory_core.backend import MemoryBackend
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, PatternId
from memory_core.results import Exemplar, InferOptions, InferResult

Route = Literal["surprise", "domain", "all"]
MEMORIES_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A memory that could be asked. surprise: of the question there; None when the route does not look at it."""

    memory: MemoryName
    surprise: float | None
    is_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A pattern of one of the memories. ``weight``: its share of its memory's answer times that one's confidence."""

    memory: MemoryName
    pattern: PatternId
    weight: float
    exemplars: tuple[Exemplar, ...]

    @property
    def cite(self) -> str:
        """How an answer names it."""
        return f"{self.memory}#{self.pattern}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedAnswer:
    """The merged answer. ``memory`` gave the response, the most confident one; None when nobody knew anything."""

    memory: MemoryName | None
    response: str
    confidence: float
    candidates: tuple[Candidate, ...]
    patterns: tuple[Recalled, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How to choose. ask: with ``surprise``, how many memories are asked, least surprised first."""

    route: Route = "surprise"
    ask: int = 1
    options: InferOptions = InferOptions()  # noqa: RUF009  frozen


async def ask_memories(
    backend: MemoryBackend, memories: Sequence[MemoryName], question: str, routing: Routing
) -> RoutedAnswer:
    """Choose, ask, merge. NotFound for an unknown memory; InvalidInput for none or too many."""
    names = tuple(dict.fromkeys(memories))
    if not 1 <= len(names) <= MEMORIES_MAX:
        raise InvalidInput(f"{len(names)} memories were named; 1 to {MEMORIES_MAX} can be asked.", hint="Choose some.")
    candidates = await _candidates(backend, names, question, routing)
    asked = [one.memory for one in candidates if one.is_asked]
    answers = await asyncio.gather(*(backend.infer(name, question, routing.options) for name in asked))
    return merged(answers, candidates, routing.options.pattern_limit)


def merged(answers: Sequence[InferResult], candidates: tuple[Candidate, ...], pattern_limit: int) -> RoutedAnswer:
    """One answer of several: the response of the most confident, the patterns of all by weight, weak ones too."""
    known = [answer for answer in answers if answer.mode == "recall"]
    patterns = [
        Recalled(
            memory=answer.memory,
            pattern=match.pattern,
            weight=match.weight * answer.confidence,
            exemplars=match.exemplars,
        )
        for answer in answers
        for match in answer.patterns
    ]
    patterns.sort(key=lambda one: -one.weight)
    best = max(known, key=lambda answer: answer.confidence, default=None)
    return RoutedAnswer(
        memory=None if best is None else best.memory,
        response="" if best is None else best.response,
        confidence=0.0 if best is None else best.confidence,
        candidates=candidates,
        patterns=tuple(patterns[:pattern_limit]),
    )


async def _candidates(
    backend: MemoryBackend, names: tuple[MemoryName, ...], question: str, routing: Routing
) -> tuple[Candidate, ...]:
    if routing.route == "domain":
        return await _of_domain(backend, names, routing.options.domain)
    if routing.route == "all" or len(names) <= routing.ask:
        return tuple(Candidate(memory=name, surprise=None, is_asked=True) for name in names)
    measured = await asyncio.gather(*(backend.surprise(name, [question]) for name in names))
    found = [
        Candidate(memory=name, surprise=result.score, is_asked=False)
        for name, (result,) in zip(names, measured, strict=True)
    ]
    found.sort(key=lambda one: one.surprise or 0.0)
    return tuple(replace(one, is_asked=place < routing.ask) for place, one in enumerate(found))


async def _of_domain(
    backend: MemoryBackend, names: tuple[MemoryName, ...], domain: str | None
) -> tuple[Candidate, ...]:
    if domain is None:
        raise InvalidInput("The route domain needs a domain.", hint="Name one, or use the route surprise.")
    explained = await asyncio.gather(*(backend.explain(name, top_k=1, domain=domain) for name in names))
    return tuple(
        Candidate(memory=name, surprise=None, is_asked=result.pattern_count > 0)
        for name, result in zip(names, explained, strict=True)
    )
