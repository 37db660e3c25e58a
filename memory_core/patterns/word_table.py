"""Words that lead to patterns: a sparse Hebbian table from stems to slots, weighted by learned rarity.

A slot keeps the ids of its words with their counts (bounded), from which postings (id -> slots) are derived. Reading
scores slots as BM25 does (Robertson & Zaragoza 2009); the inverse document frequency is learned from the stream.
Shapes: U units, W words a slot, V words seen, n patterns in use, R slots with T words in all, N distinct by slot.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, compress, count, islice
from typing import Final, NamedTuple

import numpy as np

from memory_core import kernels
from memory_core.encoding.words import Word, fold_words, stem_word

WORDS_PER_SLOT: Final = 64
SATURATION_K1: Final = 0.9
LENGTH_B: Final = 0.4
WORDS_REMEMBERED: Final = 1 << 17
COUNT_MAX: Final = 255
WORTH_TOGETHER: Final = 8
_CONTENT_BIT: Final = 1
_NONE_POSTED: Final = np.zeros(0, dtype=np.int64)
# Negations are function words to a search engine, but they turn a fact around.
_NEGATIONS: Final = frozenset(
    "not no never none nor neither nobodi noth nowher without cannot isn aren wasn weren don doesn didn won wouldn"
    " couldn shouldn hasn haven hadn mustn needn".split()
)

WordId = int


@lru_cache(maxsize=WORDS_REMEMBERED)
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
    return list(map(_ids_in(language).__getitem__, fold_words(text)))


class _Ids(dict[str, WordId]):
    """Ids of the folded words of one language that were met; a full one begins anew."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._language = language

    def __missing__(self, folded: str) -> WordId:
        if len(self) >= WORDS_REMEMBERED:
            self.clear()
        self[folded] = word = word_id(*stem_word(folded, self._language))
        return word


@lru_cache(maxsize=4)
def _ids_in(language: str) -> _Ids:
    return _Ids(language)


class ScoredWords(NamedTuple):
    """Scores of slots, word after word: how many entries each word has, and slot and score of each of E entries."""

    lengths_W: np.ndarray
    slot_E: np.ndarray
    score_E: np.ndarray

    def total(self, n_patterns: int) -> np.ndarray:
        """Of every slot the sum over all words, float32 (n,)."""
        if kernels.compiled is not None:
            total_n = np.empty(n_patterns, dtype=np.float32)
            kernels.compiled.add_by_slot(self.slot_E, self.score_E, total_n)
            return total_n
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
        # A few numbers go in through these at a fraction of what an array takes.
        self._words = self.word_UW.data.cast("B").cast("q")
        self._counts, self._indices = self.count_UW.data.cast("B"), self.index_UW.data.cast("B").cast("i")
        self._vocabulary: defaultdict[WordId, int] = defaultdict(count(1).__next__)
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
        if max(counts, default=0) > COUNT_MAX:
            counts = [min(count, COUNT_MAX) for count in counts]
        place = slot * WORDS_PER_SLOT
        self._words[place : place + len(kept)] = array("q", kept)
        self._counts[place : place + len(kept)] = bytes(counts)
        self.length_U[slot] = length = sum(map(_CONTENT_BIT.__and__, words))
        self._length_sum += length
        self.slot_count = max(self.slot_count, slot + 1)
        indices = self._indices_of(kept)
        self._indices[place : place + len(kept)] = array("i", indices)
        postings, posted, frequency_V = self._postings, slot << 8, self.frequency_V.data
        for index, times in zip(indices, counts, strict=True):
            posting = postings[index]
            posting.append(posted | times)
            frequency_V[index] = len(posting)

    def learn_many(self, slots: Sequence[int], texts: Sequence[list[WordId]]) -> None:
        """``learn`` the text of each of the slots, all different: sooner together where it can be."""
        if len(texts) < WORTH_TOGETHER:
            for slot, words in zip(slots, texts, strict=True):
                self.learn(slot, words)
            return
        is_plain = [
            slot >= self.slot_count and (len(words) <= WORDS_PER_SLOT or len(set(words)) <= WORDS_PER_SLOT)
            for slot, words in zip(slots, texts, strict=True)
        ]
        for slot, words, plain in zip(slots, texts, is_plain, strict=True):
            if not plain:
                self.learn(slot, words)
        if any(is_plain):
            self._learn_together(np.array([*compress(slots, is_plain)]), [*compress(texts, is_plain)])

    def _learn_together(self, slots_R: np.ndarray, texts: Sequence[list[WordId]]) -> None:
        """``learn`` where slots are new and every text has at most 64 distinct words."""
        words = list(chain.from_iterable(texts))
        word_T, index_T = np.array(words, dtype=np.int64), np.array(self._indices_of(words), dtype=np.int64)
        row_T = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        length_R = np.bincount(row_T[(word_T & _CONTENT_BIT) != 0], minlength=len(texts))
        self.length_U[slots_R] = length_R
        self._length_sum += int(length_R.sum())
        self.slot_count = max(self.slot_count, int(slots_R.max()) + 1)
        _, first_N, times_N = np.unique(row_T * len(self._postings) + index_T, return_index=True, return_counts=True)
        order_N = np.argsort(first_N)
        first_N, count_N = first_N[order_N], np.minimum(times_N[order_N], COUNT_MAX)
        row_N, index_N = row_T[first_N], index_T[first_N]
        column_N = np.arange(len(row_N)) - np.searchsorted(row_N, row_N)
        slot_N = slots_R[row_N]
        self.word_UW[slot_N, column_N], self.count_UW[slot_N, column_N] = word_T[first_N], count_N
        self.index_UW[slot_N, column_N] = index_N
        self._post(index_N, slot_N << 8 | count_N)

    def words_of(self, slot: int) -> set[WordId]:
        """Distinct words of a slot."""
        return set(self.word_UW[slot].tolist()) - {0}

    def occurrences(self, slot: int) -> list[WordId]:
        """Words of a slot, each as often as it was counted."""
        return np.repeat(self.word_UW[slot], self.count_UW[slot]).tolist()

    def rarity(self, word: WordId) -> float:
        """Learned inverse document frequency of a word, log((n + 1) / (frequency + 1/2))."""
        return self._rarity_of(self._postings[self.index_of(word)])

    def index_of(self, word: WordId) -> int:
        """The small index of a word in ``index_UW``, ``frequency_V`` and ``is_content_V``; 0 for one never learned."""
        return self._vocabulary.get(word, 0)

    def scored(self, words: Iterable[WordId]) -> ScoredWords:
        """What the content words of a query (all words when it has none) give each slot that carries them, by BM25."""
        mean_length = max(1.0, self._length_sum / max(1, self.slot_count))
        distinct = dict.fromkeys(words)
        asked = [word for word in distinct if is_content(word)] or distinct
        postings = [posted for word in asked if (posted := self._postings[self.index_of(word)])]
        posted_E = np.concatenate([_NONE_POSTED, *postings])
        lengths_W = np.array([len(posted) for posted in postings], dtype=np.int64)
        rarity_W = np.array([self._rarity_of(posted) * (SATURATION_K1 + 1) for posted in postings], dtype=np.float32)
        damping = SATURATION_K1 * (1 - LENGTH_B), SATURATION_K1 * LENGTH_B / mean_length
        if kernels.compiled is None:
            return self._score_plainly(posted_E, lengths_W, rarity_W, *damping)
        slot_E, score_E = np.empty(len(posted_E), dtype=np.int64), np.empty(len(posted_E), dtype=np.float32)
        kernels.compiled.score_postings(posted_E, lengths_W, rarity_W, self.length_U, *damping, slot_E, score_E)
        return ScoredWords(lengths_W, slot_E, score_E)

    def load(self, word_nW: np.ndarray, count_nW: np.ndarray, length_n: np.ndarray) -> None:
        """Take stored words and rebuild what is derived from them."""
        n_patterns = len(word_nW)
        self.word_UW[:n_patterns], self.count_UW[:n_patterns] = word_nW, count_nW
        self.length_U[:n_patterns] = length_n
        self.slot_count, self._length_sum = n_patterns, int(length_n.sum())
        place_N = np.nonzero(word_nW)
        index_N = np.array(self._indices_of(word_nW[place_N].tolist()), dtype=np.int64)
        self.index_UW[place_N] = index_N
        self._post(index_N, place_N[0] << 8 | count_nW[place_N])

    def _score_plainly(
        self, posted_E: np.ndarray, lengths_W: np.ndarray, rarity_W: np.ndarray, damp: float, damp_by_length: float
    ) -> ScoredWords:
        slot_E, score_E = posted_E >> 8, (posted_E & 255).astype(np.float32)
        damp_E = self.length_U[slot_E] * np.float32(damp_by_length)
        damp_E += score_E + np.float32(damp)
        score_E *= np.repeat(rarity_W, lengths_W)
        score_E /= damp_E
        return ScoredWords(lengths_W, slot_E, score_E)

    def _rarity_of(self, posted: array[int]) -> float:
        return math.log((self.slot_count + 1) / (len(posted) + 0.5))

    def _indices_of(self, words: Sequence[WordId]) -> list[int]:
        """Indices of words, in order; one met for the first time gets the next index."""
        indices = list(map(self._vocabulary.__getitem__, words))
        new = len(self._vocabulary) + 1 - len(self._postings)
        self._postings += [array("q") for _ in range(new)]
        while len(self.frequency_V) < len(self._postings):
            self.frequency_V = np.concatenate([self.frequency_V, np.zeros_like(self.frequency_V)])
            self.is_content_V = np.concatenate([self.is_content_V, np.zeros_like(self.is_content_V)])
        for word, index in islice(reversed(self._vocabulary.items()), new):
            self.is_content_V[index] = is_content(word)
        return indices

    def _post(self, index_N: np.ndarray, posted_N: np.ndarray) -> None:
        """Let words lead to slots: one entry of a posting for each word of each slot."""
        postings = self._postings
        for index, posted in zip(index_N.tolist(), posted_N.tolist(), strict=True):
            postings[index].append(posted)
        index_w, times_w = np.unique(index_N, return_counts=True)
        self.frequency_V[index_w] += times_w.astype(np.int32)

    def _unpost(self, slot: int) -> None:
        for index in self.index_UW[slot].tolist():
            if not index:
                break
            posted = self._postings[index]
            del posted[int(np.flatnonzero(np.array(posted) >> 8 == slot)[0])]
            self.frequency_V[index] = len(posted)
        self._length_sum -= int(self.length_U[slot])
        self.word_UW[slot], self.count_UW[slot], self.index_UW[slot] = 0, 0, 0


def kept_words(words: Iterable[WordId]) -> dict[WordId, int]:
    """What a slot keeps of its words: the distinct ones and their counts, over 64 of them the most frequent."""
    counts = Counter(words)
    return counts if len(counts) <= WORDS_PER_SLOT else dict(counts.most_common(WORDS_PER_SLOT))
