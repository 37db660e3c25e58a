"""Words that lead to patterns: a sparse Hebbian table from stems to slots, weighted by learned rarity.

A slot keeps the ids of its words with their counts (bounded), from which postings (id -> slots) are derived. Reading
scores slots as BM25 does (Robertson & Zaragoza 2009); the inverse document frequency is learned from the stream.
Shapes: U units, W words a slot, n patterns in use.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np

from memory_core.encoding.words import Word

WORDS_PER_SLOT: Final = 64
SATURATION_K1: Final = 0.9
LENGTH_B: Final = 0.4
_CONTENT_BIT: Final = 1
# Negations are function words to a search engine, but they turn a fact around.
_NEGATIONS: Final = frozenset(
    "not no never none nor neither nobodi noth nowher without cannot isn aren wasn weren don doesn didn won wouldn"
    " couldn shouldn hasn haven hadn mustn needn".split()
)

WordId = int


@lru_cache(maxsize=1 << 17)
def word_id(stem: str, is_function_word: bool) -> WordId:
    """63-bit id of a stem, the same on every machine, never 0; its lowest bit says whether the word carries meaning."""
    digest = int.from_bytes(blake2b(stem.encode(), digest_size=8).digest()) >> 1
    is_content = not is_function_word or stem in _NEGATIONS
    return (digest | _CONTENT_BIT) if is_content else (digest & ~_CONTENT_BIT) or 2


def is_content(word: WordId) -> bool:
    """True for words that carry meaning, among them negations."""
    return bool(word & _CONTENT_BIT)


def word_ids(words: Iterable[Word]) -> list[WordId]:
    """Ids of the words of a text, in order."""
    return [word_id(word.stem, word.is_function_word) for word in words]


class WordTable:
    """Words of every slot, and which slots a word leads to."""

    def __init__(self, units: int) -> None:
        self.word_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.int64)
        self.count_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.uint8)
        self.length_U = np.zeros(units, dtype=np.int32)
        self._postings: dict[WordId, tuple[array[int], array[int]]] = {}
        self._words: list[dict[WordId, int]] = []
        self._length_sum = 0

    def learn(self, slot: int, words: list[WordId]) -> None:
        """Make ``words`` the words of a slot; over 64 distinct ones, the most frequent stay."""
        if slot < len(self._words):
            self._unpost(slot)
        counts = Counter(words).most_common(WORDS_PER_SLOT)
        self.word_UW[slot, : len(counts)] = [word for word, _ in counts]
        self.count_UW[slot, : len(counts)] = [min(count, 255) for _, count in counts]
        self.length_U[slot] = sum(is_content(word) for word in words)
        self._post(slot, dict(counts))

    def words_of(self, slot: int) -> dict[WordId, int]:
        """Words of a slot with their counts."""
        return self._words[slot]

    def rarity(self, word: WordId) -> float:
        """Learned inverse document frequency of a word, > 0."""
        posting = self._postings.get(word)
        frequency = len(posting[0]) if posting else 0
        return math.log1p((len(self._words) - frequency + 0.5) / (frequency + 0.5))

    def scored_postings(self, words: Iterable[WordId]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each content word of a query (all words when it has none): slots that carry it and their BM25 part."""
        mean_length = max(1.0, self._length_sum / max(1, len(self._words)))
        distinct = dict.fromkeys(words)
        for word in [word for word in distinct if is_content(word)] or distinct:
            posting = self._postings.get(word)
            if posting is None:
                continue
            slots, counts = np.array(posting[0], dtype=np.int64), np.array(posting[1], dtype=np.float64)
            damp = SATURATION_K1 * (1 - LENGTH_B + LENGTH_B * self.length_U[slots] / mean_length)
            yield slots, self.rarity(word) * counts * (SATURATION_K1 + 1) / (counts + damp)

    def load(self, word_nW: np.ndarray, count_nW: np.ndarray, length_n: np.ndarray) -> None:
        """Take stored words and rebuild the postings."""
        n_patterns = len(word_nW)
        self.word_UW[:n_patterns], self.count_UW[:n_patterns] = word_nW, count_nW
        self.length_U[:n_patterns] = length_n
        for slot, (words, counts) in enumerate(zip(word_nW.tolist(), count_nW.tolist(), strict=True)):
            self._post(slot, {word: count for word, count in zip(words, counts, strict=True) if word})

    def _post(self, slot: int, words: dict[WordId, int]) -> None:
        for word, count in words.items():
            slots, counts = self._postings.setdefault(word, (array("i"), array("B")))
            slots.append(slot)
            counts.append(min(count, 255))
        if slot == len(self._words):
            self._words.append(words)
        else:
            self._words[slot] = words
        self._length_sum += int(self.length_U[slot])

    def _unpost(self, slot: int) -> None:
        for word in self._words[slot]:
            slots, counts = self._postings[word]
            position = slots.index(slot)
            slots.pop(position)
            counts.pop(position)
            if not slots:
                del self._postings[word]
        self._length_sum -= int(self.length_U[slot])
        self.word_UW[slot], self.count_UW[slot] = 0, 0
