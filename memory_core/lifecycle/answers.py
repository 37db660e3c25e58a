"""First answers by request id, so that a repeated request is answered alike, also by a later owner.

The table is bounded in requests and in outcomes; the oldest go first. It is stored with each head and rebuilt by
replay, so every owner evicts the same entries.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from memory_core import errors
from memory_core.errors import Internal, NeuralMemoryError
from memory_core.ids import PatternId, RequestId, Seq
from memory_core.results import ObserveOutcome

REQUESTS_MAX: Final = 1_024
OUTCOMES_MAX: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The error that a request was answered with: its class by name, and what it says."""

    kind: str
    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: NeuralMemoryError) -> Refusal:
        """What to remember of an error."""
        return cls(kind=type(error).__name__, code=error.code, message=error.message, hint=error.hint)

    def to_error(self) -> NeuralMemoryError:
        """The same error again."""
        kind = getattr(errors, self.kind, Internal)
        error: NeuralMemoryError = kind(self.message, code=self.code, hint=self.hint)
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request was answered; ``digest`` is of its content."""

    digest: str
    outcomes: tuple[ObserveOutcome, ...]
    capacity_used: float
    observation_count: int
    refusal: Refusal | None = None

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Answer:
        """Rebuild from ``asdict`` that went through JSON."""
        outcomes = tuple(
            ObserveOutcome(
                seq=Seq(item["seq"]),
                surprise=item["surprise"],
                weight_delta=item["weight_delta"],
                learned=item["learned"],
                patterns_activated=tuple(PatternId(pattern) for pattern in item["patterns_activated"]),
            )
            for item in raw["outcomes"]
        )
        refusal = None if raw["refusal"] is None else Refusal(**raw["refusal"])
        return cls(
            digest=raw["digest"],
            outcomes=outcomes,
            capacity_used=raw["capacity_used"],
            observation_count=raw["observation_count"],
            refusal=refusal,
        )


class AnswerTable:
    """Answers in order of their first request. Used by one thread at a time."""

    def __init__(self, requests_max: int = REQUESTS_MAX, outcomes_max: int = OUTCOMES_MAX) -> None:
        self._requests_max = requests_max
        self._outcomes_max = outcomes_max
        self._answers: OrderedDict[RequestId, Answer] = OrderedDict()
        self._outcome_count = 0

    def __len__(self) -> int:
        return len(self._answers)

    def outcomes(self) -> Iterator[ObserveOutcome]:
        """All outcomes that are remembered, oldest request first."""
        for answer in self._answers.values():
            yield from answer.outcomes

    def find(self, request: RequestId) -> Answer | None:
        """The first answer, while it is remembered."""
        return self._answers.get(request)

    def remember(self, request: RequestId, answer: Answer) -> None:
        """Keep a first answer; an id that is known keeps the answer it has."""
        if request in self._answers:
            return
        self._answers[request] = answer
        self._outcome_count += len(answer.outcomes)
        while len(self._answers) > self._requests_max or (
            self._outcome_count > self._outcomes_max and len(self._answers) > 1
        ):
            _, oldest = self._answers.popitem(last=False)
            self._outcome_count -= len(oldest.outcomes)

    def forget_content(self, seqs: frozenset[Seq]) -> None:
        """Drop the content hashes of answers that name one of the positions: a hash confirms a guessed text.

        The id stays known, so a late repetition of such a request is refused instead of learned again.
        """
        for request, answer in self._answers.items():
            if any(outcome.seq in seqs for outcome in answer.outcomes):
                self._answers[request] = replace(answer, digest="")

    def to_json(self) -> bytes:
        """All answers, oldest first."""
        return json.dumps([[request, asdict(answer)] for request, answer in self._answers.items()]).encode()

    @classmethod
    def from_json(cls, data: bytes) -> AnswerTable:
        """Rebuild from ``to_json``."""
        table = cls()
        for request, raw in json.loads(data):
            table.remember(RequestId(request), Answer.from_dict(raw))
        return table
