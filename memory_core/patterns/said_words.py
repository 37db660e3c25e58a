"""What the passages of a chunk say, beside what patterns say: sums of the learned rarity of words they share.

The rarity of a word moves with every pattern that carries it. Each passage is compared with the rarities of its own
turn, so that a chunk gives what its passages would give one by one.
A word has an index in the WordTable (0: never learned) and, when a passage of the chunk says it, a number here (L:
none says it). Shapes: P passages, L distinct words said, C candidates of a passage, W words of a passage or pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memory_core.patterns.word_table import WORDS_PER_SLOT, WordId, WordTable, is_content, kept_words


class Words(NamedTuple):
    """Words of P times C texts: indices and numbers, both (P, C, W), padded with 0 and L."""

    index_PCW: np.ndarray
    number_PCW: np.ndarray


class Shared(NamedTuple):
    """Sums of rarity: of each passage's words (own), of its candidates' (theirs) and of the words in both."""

    own_P: np.ndarray
    own_content_P: np.ndarray
    theirs_PC: np.ndarray
    theirs_content_PC: np.ndarray
    common_PC: np.ndarray
    common_content_PC: np.ndarray


class SaidWords:
    """The words of P passages that are compared together."""

    def __init__(self, table: WordTable, words: Sequence[list[WordId]]) -> None:
        self._table = table
        said = [list(dict.fromkeys(passage)) for passage in words]
        number = {word: place for place, word in enumerate(dict.fromkeys(word for passage in said for word in passage))}
        self._none = len(number)
        self._index_L = np.array([*map(table.index_of, number), 0])
        self._is_content_L = np.array([*map(is_content, number), False])
        self._number_V = np.full(len(table.frequency_V), self._none, dtype=np.int32)
        self._number_V[self._index_L] = np.arange(self._none + 1)
        self._number_V[0] = self._none
        numbers = [[number[word] for word in passage] for passage in said]
        self._said_PW = _padded(numbers, max(map(len, numbers)), self._none)
        if self._said_PW.shape[1] > WORDS_PER_SLOT:
            numbers = [[number[word] for word in kept_words(passage)] for passage in words]
        self._kept_PW = _padded(numbers, WORDS_PER_SLOT, self._none)
        self._kept_width = max(map(len, numbers))
        self._is_said_PL = self._marked(self._said_PW)

    def of_slots(self, slot_PC: np.ndarray) -> Words:
        """The words that patterns carry; W is as wide as the passages and patterns need."""
        index_PCW = self._table.index_UW[slot_PC]
        width = max(self._kept_width, int(np.count_nonzero(index_PCW, axis=2).max(initial=0)))
        index_PCW = index_PCW[:, :, :width]
        return Words(index_PCW, self._number_V[index_PCW])

    def of_passages(self, passage_PC: np.ndarray, width: int) -> Words:
        """The words that passages would carry as patterns."""
        number_PCW = self._kept_PW[passage_PC, :width]
        return Words(self._index_L[number_PCW], number_PCW)

    def shared(self, theirs: Words, recruits_P: np.ndarray) -> Shared:
        """What each passage and its candidates share, given which of the passages became patterns."""
        more_PL, log_count_P = self._learned_before(recruits_P)
        own = Words(self._index_L[self._said_PW][:, None], self._said_PW[:, None])
        own_P1, own_content_P1, _, _ = self._sums(own, more_PL, log_count_P)
        return Shared(own_P1[:, 0], own_content_P1[:, 0], *self._sums(theirs, more_PL, log_count_P))

    def _sums(
        self, words: Words, more_PL: np.ndarray | None, log_count_P: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rarity of all words, of content words, and of both again for words that the passage says too."""
        index_PCW, number_PCW = words
        rows_P11 = np.arange(len(index_PCW))[:, None, None]
        frequency_PCW = self._table.frequency_V[index_PCW].astype(np.float32)
        if more_PL is not None:
            frequency_PCW += more_PL[rows_P11, number_PCW]
        rarity_PCW = log_count_P[:, None, None] - np.log(frequency_PCW + np.float32(0.5))
        rarity_PCW *= (index_PCW != 0) | (number_PCW != self._none)
        content_PCW = rarity_PCW * (self._table.is_content_V[index_PCW] | self._is_content_L[number_PCW])
        is_said_PCW = self._is_said_PL[rows_P11, number_PCW]
        parts = (rarity_PCW, content_PCW, rarity_PCW * is_said_PCW, content_PCW * is_said_PCW)
        own, own_content, common, common_content = (part_PCW.sum(axis=2, dtype=np.float64) for part_PCW in parts)
        return own, own_content, common, common_content

    def _learned_before(self, recruits_P: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """How many earlier passages became patterns with each word (P, L + 1), and log(n + 1) at each one's turn."""
        before_P = np.cumsum(recruits_P) - recruits_P
        log_count_P = np.log(self._table.slot_count + before_P + 1).astype(np.float32)
        if len(recruits_P) == 1:
            return None, log_count_P
        learned_PL = (self._marked(self._kept_PW) & recruits_P[:, None]).astype(np.float32)
        more_PL = np.zeros_like(learned_PL)
        np.cumsum(learned_PL[:-1], axis=0, out=more_PL[1:])
        return more_PL, log_count_P

    def _marked(self, numbers_PW: np.ndarray) -> np.ndarray:
        is_there_PL = np.zeros((len(numbers_PW), self._none + 1), dtype=bool)
        is_there_PL[np.arange(len(numbers_PW))[:, None], numbers_PW] = True
        is_there_PL[:, self._none] = False
        return is_there_PL


def _padded(rows: list[list[int]], width: int, filler: int) -> np.ndarray:
    padded_PW = np.full((len(rows), width), filler, dtype=np.int32)
    for row_W, numbers in zip(padded_PW, rows, strict=True):
        row_W[: len(numbers)] = numbers
    return padded_PW
