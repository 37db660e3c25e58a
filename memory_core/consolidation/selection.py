"""Which exemplars a forgetting is about: by subject, by pattern, by position or by time."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from memory_core.errors import InvalidInput
from memory_core.ids import PatternId
from memory_core.patterns.word_table import is_content, words_of_text
from memory_core.results import Exemplar, ForgetSelection
from memory_core.time_range import TimeRange

SUBJECT_LENGTH_MAX: Final = 1_024
_MISSING: Final = object()


class Chooser:
    """A selection, checked and ready to be asked about many exemplars. Raises InvalidInput when it makes no sense."""

    def __init__(self, selection: ForgetSelection, language: str) -> None:
        if all(getattr(selection, item.name) in (None, (), {}) for item in fields(selection)):
            raise InvalidInput(
                "Nothing says what shall be forgotten.",
                hint="Give a subject, pattern ids, metadata, or a range of time.",
            )
        self._language = language
        self._words = None if selection.subject is None else _subject_words(selection.subject, language)
        self._patterns = frozenset(selection.patterns)
        self._first, self._last = selection.seq_from, selection.seq_to
        self._metadata = selection.metadata
        self._time = TimeRange.between(selection.occurred_from, selection.occurred_to)

    def is_about(self, text: str) -> bool:
        """True when a subject is given and the text has all its content words."""
        return self._words is not None and self._words <= set(words_of_text(text, self._language))

    def chooses(self, exemplar: Exemplar, pattern: PatternId) -> bool:
        """True when the exemplar of this pattern meets every condition."""
        return (
            (not self._patterns or pattern in self._patterns)
            and (self._first is None or exemplar.seq >= self._first)
            and (self._last is None or exemplar.seq <= self._last)
            and self._time.holds(exemplar.occurred_at)
            and all(exemplar.metadata.get(name, _MISSING) == value for name, value in self._metadata.items())
            and (self._words is None or self.is_about(exemplar.text))
        )


def _subject_words(subject: str, language: str) -> frozenset[int]:
    if len(subject) > SUBJECT_LENGTH_MAX:
        raise InvalidInput(
            f"The subject has {len(subject)} characters; {SUBJECT_LENGTH_MAX} are allowed.", hint="Name it shortly."
        )
    words = frozenset(word for word in words_of_text(subject, language) if is_content(word))
    if not words:
        raise InvalidInput("The subject has no word that carries meaning.", hint="Name a person, a thing or a topic.")
    return words
