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
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class SharedWords:
    """Sums of rarity: of a text's words (``own``), of k slots' words (``theirs_k``) and of the words in both."""

    own: float
    own_content: float
    theirs_k: np.ndarray
    theirs_content_k: np.ndarray
    common_k: np.ndarray
    common_content_k: np.ndarray


class WordTable:
    """Words of every slot, and which slots a word leads to.

    Beside the stored arrays stand derived ones: each word seen gets a small index, 0 meaning none.
    """

    def __init__(self, units: int) -> None:
        self.word_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.int64)
        self.count_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.uint8)
        self.length_U = np.zeros(units, dtype=np.int32)
        self._index_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.int32)
        self._vocabulary: dict[WordId, int] = {}
        self._postings: list[tuple[array[int], array[int]]] = [(array("i"), array("B"))]
        self._log_frequency_V = np.full(1024, math.log(0.5), dtype=np.float32)
        self._is_content_V = np.zeros(1024, dtype=bool)
        self._slot_count = 0
        self._length_sum = 0

    def learn(self, slot: int, words: list[WordId]) -> None:
        """Make ``words`` the words of a slot; over 64 distinct ones, the most frequent stay."""
        if slot < self._slot_count:
            self._unpost(slot)
        counts = Counter(words).most_common(WORDS_PER_SLOT)
        self.word_UW[slot, : len(counts)] = [word for word, _ in counts]
        self.count_UW[slot, : len(counts)] = [min(count, 255) for _, count in counts]
        self.length_U[slot] = sum(is_content(word) for word in words)
        self._post(slot, [(word, min(count, 255)) for word, count in counts])

    def words_of(self, slot: int) -> set[WordId]:
        """Distinct words of a slot."""
        return set(self.word_UW[slot].tolist()) - {0}

    def occurrences(self, slot: int) -> list[WordId]:
        """Words of a slot, each as often as it was counted."""
        return np.repeat(self.word_UW[slot], self.count_UW[slot]).tolist()

    def rarity(self, word: WordId) -> float:
        """Learned inverse document frequency of a word, log((n + 1) / (frequency + 1/2))."""
        return math.log(self._slot_count + 1) - float(self._log_frequency_V[self._vocabulary.get(word, 0)])

    def shared(self, words: Iterable[WordId], slots: list[int]) -> SharedWords:
        """Rarity that a text's words and each of some slots have in common, and that each has in all."""
        distinct = dict.fromkeys(words)
        known = np.array([index for word in distinct if (index := self._vocabulary.get(word, 0))], dtype=np.int64)
        unknown = [word for word in distinct if word not in self._vocabulary]
        fresh = math.log(self._slot_count + 1) - math.log(0.5)
        index_kW = self._index_UW[slots]
        rarity_kW = np.where(index_kW > 0, self._rarities(index_kW), 0.0)
        marked_V = np.zeros(len(self._log_frequency_V), dtype=bool)
        marked_V[known] = True
        common_kW = np.where(marked_V[index_kW], rarity_kW, 0.0)
        content_kW, content = self._is_content_V[index_kW], self._is_content_V[known]
        own = self._rarities(known)
        return SharedWords(
            own=float(own.sum()) + fresh * len(unknown),
            own_content=float(own[content].sum()) + fresh * sum(map(is_content, unknown)),
            theirs_k=rarity_kW.sum(1),
            theirs_content_k=(rarity_kW * content_kW).sum(1),
            common_k=common_kW.sum(1),
            common_content_k=(common_kW * content_kW).sum(1),
        )

    def scored_postings(self, words: Iterable[WordId]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each content word of a query (all words when it has none): slots that carry it and their BM25 part."""
        mean_length = max(1.0, self._length_sum / max(1, self._slot_count))
        distinct = dict.fromkeys(words)
        for word in [word for word in distinct if is_content(word)] or distinct:
            index = self._vocabulary.get(word, 0)
            if not index or not len(self._postings[index][0]):
                continue
            slots, counts = (np.array(part, dtype=np.int64) for part in self._postings[index])
            damp = SATURATION_K1 * (1 - LENGTH_B + LENGTH_B * self.length_U[slots] / mean_length)
            yield slots, self.rarity(word) * counts * (SATURATION_K1 + 1) / (counts + damp)

    def load(self, word_nW: np.ndarray, count_nW: np.ndarray, length_n: np.ndarray) -> None:
        """Take stored words and rebuild what is derived from them."""
        n_patterns = len(word_nW)
        self.word_UW[:n_patterns], self.count_UW[:n_patterns] = word_nW, count_nW
        self.length_U[:n_patterns] = length_n
        for slot, (words, counts) in enumerate(zip(word_nW.tolist(), count_nW.tolist(), strict=True)):
            self._post(slot, [(word, count) for word, count in zip(words, counts, strict=True) if word])

    def _rarities(self, indices: np.ndarray) -> np.ndarray:
        rarities: np.ndarray = np.float32(math.log(self._slot_count + 1)) - self._log_frequency_V[indices]
        return rarities

    def _post(self, slot: int, words: list[tuple[WordId, int]]) -> None:
        indices = [self._index_of(word) for word, _ in words]
        for index, (_, count) in zip(indices, words, strict=True):
            slots, counts = self._postings[index]
            slots.append(slot)
            counts.append(count)
            self._log_frequency_V[index] = math.log(len(slots) + 0.5)
        self._index_UW[slot, : len(indices)] = indices
        self._slot_count = max(self._slot_count, slot + 1)
        self._length_sum += int(self.length_U[slot])

    def _unpost(self, slot: int) -> None:
        for index in self._index_UW[slot].tolist():
            if not index:
                break
            slots, counts = self._postings[index]
            position = slots.index(slot)
            slots.pop(position)
            counts.pop(position)
            self._log_frequency_V[index] = math.log(len(slots) + 0.5)
        self._length_sum -= int(self.length_U[slot])
        self.word_UW[slot], self.count_UW[slot], self._index_UW[slot] = 0, 0, 0

    def _index_of(self, word: WordId) -> int:
        index = self._vocabulary.get(word)
        if index is None:
            index = self._vocabulary[word] = len(self._postings)
            self._postings.append((array("i"), array("B")))
            if index == len(self._is_content_V):
                self._log_frequency_V = np.concatenate(
                    [self._log_frequency_V, np.full_like(self._log_frequency_V, math.log(0.5))]
                )
                self._is_content_V = np.concatenate([self._is_content_V, np.zeros_like(self._is_content_V)])
            self._is_content_V[index] = is_content(word)
        return index
