"""Who said it: patterns by the speaker their text begins with ("Ann: Hi!").

Derived from the exemplars, so it is no part of a stored state. Shapes: U units, n patterns in use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from typing import Final

import numpy as np

from memory_core import kernels
from memory_core.encoding.segments import speaker_end
from memory_core.patterns.word_table import WordId, words_of_text

Speaker = frozenset[WordId]
NOBODY = 0
NAMES_REMEMBERED: Final = 4096


class Speakers:
    """The speaker of each slot, where its text names one; speakers are numbered from 1."""

    def __init__(self, units: int, language: str) -> None:
        self._language = language
        self._speaker_U = np.zeros(units, dtype=np.int32)
        self._slots = self._speaker_U.data
        self._numbers = count(1)
        self._known: dict[int, Speaker] = {}
        self._slot_counts: Counter[int] = Counter()
        # Each speaker stands under one word of the name, so that a query meets those only that it could name.
        self._by_word: dict[WordId, dict[Speaker, int]] = {}

    def learn(self, slot: int, text: str) -> None:
        """Note who speaks in the text that a slot now stands for."""
        self._leave(self._slots[slot])
        end = speaker_end(text)
        speaker = _speaker_of(text[:end], self._language) if end else None
        self._slots[slot] = number = self._number_of(speaker) if speaker else NOBODY
        if number != NOBODY:
            self._slot_counts[number] += 1

    def named_in(self, words: Iterable[WordId], n_patterns: int) -> np.ndarray:
        """1 for every pattern whose speaker is named among ``words``, else 0; shape (n,)."""
        asked = frozenset(words)
        named_n = np.zeros(n_patterns, dtype=np.float32)
        for word in asked:
            for speaker, number in self._by_word.get(word, {}).items():
                if speaker <= asked:
                    _mark(self._speaker_U[:n_patterns], number, named_n)
        return named_n

    def _number_of(self, speaker: Speaker) -> int:
        namesakes = self._by_word.setdefault(min(speaker), {})
        if speaker not in namesakes:
            namesakes[speaker] = number = next(self._numbers)
            self._known[number] = speaker
        return namesakes[speaker]

    def _leave(self, number: int) -> None:
        """One slot less; a speaker without any is forgotten."""
        if number == NOBODY:
            return
        self._slot_counts[number] -= 1
        if not self._slot_counts[number]:
            del self._slot_counts[number]
            speaker = self._known.pop(number)
            del self._by_word[min(speaker)][speaker]


@lru_cache(maxsize=NAMES_REMEMBERED)
def _speaker_of(name: str, language: str) -> Speaker:
    return frozenset(words_of_text(name, language))


def _mark(speaker_n: np.ndarray, number: int, named_n: np.ndarray) -> None:
    """1 for every pattern of one speaker."""
    if kernels.compiled is None:
        named_n[speaker_n == number] = 1.0
    else:
        kernels.compiled.mark_number(speaker_n, number, named_n)
