"""Words that lead to patterns: a sparse Hebbian table from stems to slots, weighted by learned rarity.

A slot keeps the hashes of its content words with their counts (bounded), from which postings (hash -> slots) are
derived. Reading scores slots as BM25 does (Robertson & Zaragoza 2009); the inverse document frequency is learned from
the stream. Shapes: U units, W words a slot, n patterns in use.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np

from memory_core.encoding.words import Word

WORDS_PER_SLOT: Final = 64
SATURATION_K1: Final = 1.2
LENGTH_B: Final = 0.75


def content_stems(words: tuple[Word, ...]) -> list[str]:
    """Stems that carry meaning; all of them when a text has function words only."""
    stems = [word.stem for word in words if not word.is_function_word]
    return stems or [word.stem for word in words]


@lru_cache(maxsize=1 << 16)
def stem_hash(stem: str) -> int:
    """63-bit hash of a stem, the same on every machine; 0 is never returned (it marks a free place)."""
    return (int.from_bytes(blake2b(stem.encode(), digest_size=8).digest()) >> 1) | 1


class WordTable:
    """Content words of every slot, and which slots a word leads to."""

    def __init__(self, units: int) -> None:
        self.hash_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.int64)
        self.count_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.uint8)
        self.length_U = np.zeros(units, dtype=np.int32)
        self._postings: dict[int, tuple[array[int], array[int]]] = {}
        self._length_sum = 0

    def learn(self, slot: int, stems: list[str]) -> None:
        """Make ``stems`` the words of a slot; over 64 distinct ones, the most frequent stay."""
        self.forget_slot(slot)
        for position, (stem, count) in enumerate(Counter(stems).most_common(WORDS_PER_SLOT)):
            self.hash_UW[slot, position] = stem_hash(stem)
            self.count_UW[slot, position] = min(count, 255)
        self.length_U[slot] = len(stems)
        self._post(slot)

    def forget_slot(self, slot: int) -> None:
        """Remove a slot's words and its postings."""
        for word in self.hash_UW[slot].tolist():
            if not word:
                break
            slots, counts = self._postings[word]
            position = slots.index(slot)
            slots.pop(position)
            counts.pop(position)
            if not slots:
                del self._postings[word]
        self._length_sum -= int(self.length_U[slot])
        self.hash_UW[slot], self.count_UW[slot], self.length_U[slot] = 0, 0, 0

    def rarity(self, stem: str, n_patterns: int) -> float:
        """Learned inverse document frequency of a stem, >= 0."""
        frequency = len(self._postings[stem_hash(stem)][0]) if stem_hash(stem) in self._postings else 0
        return math.log1p((n_patterns - frequency + 0.5) / (frequency + 0.5))

    def scores(self, stems: list[str], n_patterns: int) -> np.ndarray:
        """BM25 of every pattern for a query, shape (n,)."""
        scores_n = np.zeros(n_patterns)
        mean_length = max(1.0, self._length_sum / max(1, n_patterns))
        for stem in dict.fromkeys(stems):
            posting = self._postings.get(stem_hash(stem))
            if posting is None:
                continue
            slots, counts = np.array(posting[0], dtype=np.int64), np.array(posting[1], dtype=np.float64)
            damp = SATURATION_K1 * (1 - LENGTH_B + LENGTH_B * self.length_U[slots] / mean_length)
            scores_n[slots] += self.rarity(stem, n_patterns) * counts * (SATURATION_K1 + 1) / (counts + damp)
        return scores_n

    def has_word(self, slot: int, stem: str) -> bool:
        """True when the slot carries the stem."""
        return stem_hash(stem) in self.hash_UW[slot]

    def load(self, hash_nW: np.ndarray, count_nW: np.ndarray, length_n: np.ndarray) -> None:
        """Take stored words and rebuild the postings."""
        n_patterns = len(hash_nW)
        self.hash_UW[:n_patterns], self.count_UW[:n_patterns] = hash_nW, count_nW
        self.length_U[:n_patterns] = length_n
        for slot in range(n_patterns):
            self._post(slot)

    def clone(self) -> WordTable:
        """An independent copy."""
        copy = WordTable(0)
        copy.hash_UW, copy.count_UW, copy.length_U = self.hash_UW.copy(), self.count_UW.copy(), self.length_U.copy()
        copy._postings = {word: (slots[:], counts[:]) for word, (slots, counts) in self._postings.items()}
        copy._length_sum = self._length_sum
        return copy

    def _post(self, slot: int) -> None:
        for word, count in zip(self.hash_UW[slot].tolist(), self.count_UW[slot].tolist(), strict=True):
            if not word:
                break
            slots, counts = self._postings.setdefault(word, (array("i"), array("B")))
            slots.append(slot)
            counts.append(count)
        self._length_sum += int(self.length_U[slot])
