"""Words that lead to patterns: a sparse Hebbian table from stems to slots, weighted by learned rarity.

A slot keeps the ids of its words with their counts (bounded), from which postings (id -> slots) are derived. Reading
scores slots as BM25 does (Robertson & Zaragoza 2009); the inverse document frequency is learned from the stream.
Shapes: U units, W words a slot, V words seen, n patterns in use.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np

from memory_core.encoding.words import Word, fold_words, stem_word

WORDS_PER_SLOT: Final = 64
SATURATION_K1: Final = 0.9
LENGTH_B: Final = 0.4
_CONTENT_BIT: Final = 1
_NONE_POSTED: Final = np.zeros(0, dtype=np.int64)
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


def words_of_text(text: str, language: str) -> list[WordId]:
    """Ids of the words of a text, in order: ``word_ids(analyze(text, language))``, faster."""
    return [_id_of_folded(word, language) for word in fold_words(text)]


@lru_cache(maxsize=1 << 17)
def _id_of_folded(word: str, language: str) -> WordId:
    return word_id(*stem_word(word, language))


class ScoredWords(NamedTuple):
    """Scores of slots for W words: of which word (ascending), slot and score of each of E entries."""

    word_count: int
    word_E: np.ndarray
    slot_E: np.ndarray
    score_E: np.ndarray

    def total(self, n_patterns: int) -> np.ndarray:
        """Of every slot the sum over all words, float32 (n,)."""
        return np.bincount(self.slot_E, self.score_E, minlength=n_patterns).astype(np.float32)


class WordTable:
    """Words of every slot, and which slots a word leads to.

    Beside the stored arrays stand derived ones: each word seen gets a small index, 0 meaning none.
    """

    def __init__(self, units: int) -> None:
        self.word_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.int64)
        self.count_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.uint8)
        self.length_U = np.zeros(units, dtype=np.int32)
        self.index_UW = np.zeros((units, WORDS_PER_SLOT), dtype=np.int32)
        self._vocabulary: dict[WordId, int] = {}
        # Of each word the slots that carry it, and how often: slot * 256 + count.
        self._postings: list[array[int]] = [array("q")]
        self.frequency_V = np.zeros(1024, dtype=np.int32)
        self.is_content_V = np.zeros(1024, dtype=bool)
        self.slot_count = 0
        self._length_sum = 0

    def learn(self, slot: int, words: list[WordId]) -> None:
        """Make ``words`` the words of a slot; over 64 distinct ones, the most frequent stay."""
        if slot < self.slot_count:
            self._unpost(slot)
        counted = kept_words(words)
        kept, counts = list(counted), list(counted.values())
        if max(counts, default=0) > 255:
            counts = [min(count, 255) for count in counts]
        self.word_UW[slot, : len(kept)] = kept
        self.count_UW[slot, : len(kept)] = counts
        self.length_U[slot] = sum([word & _CONTENT_BIT for word in words])
        self._post(slot, kept, counts)

    def words_of(self, slot: int) -> set[WordId]:
        """Distinct words of a slot."""
        return set(self.word_UW[slot].tolist()) - {0}

    def occurrences(self, slot: int) -> list[WordId]:
        """Words of a slot, each as often as it was counted."""
        return np.repeat(self.word_UW[slot], self.count_UW[slot]).tolist()

    def rarity(self, word: WordId) -> float:
        """Learned inverse document frequency of a word, log((n + 1) / (frequency + 1/2))."""
        return math.log((self.slot_count + 1) / (len(self._postings[self.index_of(word)]) + 0.5))

    def index_of(self, word: WordId) -> int:
        """The small index of a word in ``index_UW``, ``frequency_V`` and ``is_content_V``; 0 for one never learned."""
        return self._vocabulary.get(word, 0)

    def scored(self, words: Iterable[WordId]) -> ScoredWords:
        """What the content words of a query (all words when it has none) give each slot that carries them, by BM25."""
        mean_length = max(1.0, self._length_sum / max(1, self.slot_count))
        distinct = dict.fromkeys(words)
        asked = [word for word in distinct if is_content(word)] or distinct
        postings = [(word, posted) for word in asked if (posted := self._postings[self.index_of(word)])]
        posted_E = np.concatenate([_NONE_POSTED, *(posted for _, posted in postings)])
        lengths_W = [len(posted) for _, posted in postings]
        rarity_W = np.array([self.rarity(word) * (SATURATION_K1 + 1) for word, _ in postings], dtype=np.float32)
        slot_E, score_E = posted_E >> 8, (posted_E & 255).astype(np.float32)
        damp_E = self.length_U[slot_E] * np.float32(SATURATION_K1 * LENGTH_B / mean_length)
        damp_E += score_E + np.float32(SATURATION_K1 * (1 - LENGTH_B))
        score_E *= np.repeat(rarity_W, lengths_W)
        score_E /= damp_E
        return ScoredWords(len(postings), np.repeat(np.arange(len(postings)), lengths_W), slot_E, score_E)

    def load(self, word_nW: np.ndarray, count_nW: np.ndarray, length_n: np.ndarray) -> None:
        """Take stored words and rebuild what is derived from them."""
        n_patterns = len(word_nW)
        self.word_UW[:n_patterns], self.count_UW[:n_patterns] = word_nW, count_nW
        self.length_U[:n_patterns] = length_n
        for slot, (words, counts) in enumerate(zip(word_nW.tolist(), count_nW.tolist(), strict=True)):
            kept = [word for word in words if word]
            self._post(slot, kept, counts[: len(kept)])

    def _post(self, slot: int, words: list[WordId], counts: list[int]) -> None:
        vocabulary, postings, posted = self._vocabulary, self._postings, slot << 8
        indices = [vocabulary.get(word) or self._add_word(word) for word in words]
        for index, count in zip(indices, counts, strict=True):
            postings[index].append(posted | count)
        index_w = self.index_UW[slot, : len(indices)]
        index_w[:] = indices
        self.frequency_V[index_w] += 1
        self.slot_count = max(self.slot_count, slot + 1)
        self._length_sum += int(self.length_U[slot])

    def _unpost(self, slot: int) -> None:
        for index in self.index_UW[slot].tolist():
            if not index:
                break
            posted = self._postings[index]
            del posted[int(np.flatnonzero(np.array(posted) >> 8 == slot)[0])]
            self.frequency_V[index] -= 1
        self._length_sum -= int(self.length_U[slot])
        self.word_UW[slot], self.count_UW[slot], self.index_UW[slot] = 0, 0, 0

    def _add_word(self, word: WordId) -> int:
        index = self._vocabulary[word] = len(self._postings)
        self._postings.append(array("q"))
        if index == len(self.is_content_V):
            self.frequency_V = np.concatenate([self.frequency_V, np.zeros_like(self.frequency_V)])
            self.is_content_V = np.concatenate([self.is_content_V, np.zeros_like(self.is_content_V)])
        self.is_content_V[index] = is_content(word)
        return index


def kept_words(words: Iterable[WordId]) -> dict[WordId, int]:
    """What a slot keeps of its words: the distinct ones and their counts, over 64 of them the most frequent."""
    counts = Counter(words)
    return counts if len(counts) <= WORDS_PER_SLOT else dict(counts.most_common(WORDS_PER_SLOT))
