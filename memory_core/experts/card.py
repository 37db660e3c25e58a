"""What comes with an expert: where its knowledge is from, under which licence, how much it is, how well it answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from memory_core.errors import InvalidInput
from memory_core.storage.archive import ArchiveHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """recall: share of ``questions`` whose subject was among the first five patterns.

    questions_from: how they were made. chunks: what was taught; observations the same after repetitions were left out.
    """

    name: str
    source: str
    version: str
    licence: str
    built_at: str
    encoder: str
    chunks: int
    patterns: int
    questions: int
    questions_from: str
    recall: float

    def pack(self) -> str:
        """As the description of an archive."""
        return json.dumps({"card": asdict(self)}, ensure_ascii=False, sort_keys=True)

    def line(self) -> str:
        """On one line, for a checkpoint."""
        return (
            f"{self.name}: {self.source} {self.version}, {self.chunks} chunks, {self.licence}; recall "
            f"{self.recall:.2f} of {self.questions} questions"
        )


def card_of(head: ArchiveHead) -> Card:
    """The card of an archive; InvalidInput (NO_CARD) when it is no expert."""
    try:
        raw: dict[str, Any] = json.loads(head.description)["card"]
        return Card(**{field.name: raw[field.name] for field in fields(Card)})
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            "The archive carries no card.", code="NO_CARD", hint="Import it with: neural-memory import"
        ) from error
