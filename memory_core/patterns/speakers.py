"""Who said it: patterns by the speaker their text begins with ("Ann: Hi!").

Derived from the exemplars, so it is no part of a stored state. Shapes: n patterns in use.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memory_core.encoding.segments import speaker_end
from memory_core.patterns.word_table import WordId, words_of_text

Speaker = frozenset[WordId]


class Speakers:
    """The speaker of each slot, where its text names one."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._of_slot: dict[int, Speaker] = {}
        self._slots: dict[Speaker, set[int]] = {}

    def learn(self, slot: int, text: str) -> None:
        """Note who speaks in the text that a slot now stands for."""
        before = self._of_slot.pop(slot, None)
        if before is not None:
            self._slots[before].discard(slot)
        end = speaker_end(text)
        if end:
            speaker = frozenset(words_of_text(text[:end], self._language))
            self._of_slot[slot] = speaker
            self._slots.setdefault(speaker, set()).add(slot)

    def named_in(self, words: Iterable[WordId], n_patterns: int) -> np.ndarray:
        """1 for every pattern whose speaker is named among ``words``, else 0; shape (n,)."""
        asked = frozenset(words)
        named_n = np.zeros(n_patterns)
        for speaker, slots in self._slots.items():
            if speaker and speaker <= asked:
                named_n[list(slots)] = 1.0
        return named_n
