"""Novelty of passages by the compiled loop: what ``novelty.Comparison`` gives, passage by passage instead of at once.

Shapes: P passages, n patterns in use, E words of all passages, L distinct ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from memory_core import kernels
from memory_core.kernels import Ints
from memory_core.patterns.bank import PatternBank
from memory_core.patterns.near import NearFew
from memory_core.patterns.novelty import Novelties
from memory_core.patterns.word_table import WORDS_PER_SLOT, WordId, WordTable, is_content, kept_words


class CompiledComparison:
    """See ``novelty.Comparison``; words are numbered by those of the chunk."""

    def __init__(
        self,
        bank: PatternBank,
        table: WordTable,
        words: Sequence[list[WordId]],
        segments: Sequence[int],
        near: NearFew,
        among_PP: np.ndarray | None,
    ) -> None:
        self._near, self._among_PP = near, among_PP
        self._segments_P = np.array(segments, dtype=np.int32)
        self._table = (
            bank.columns["segments_U"],
            table.index_UW,
            table.frequency_V,
            table.is_content_V,
            table.slot_count,
        )
        self._words = _numbered(table, words)
        self._crowding_n = near.crowding_n
        self._crowding_P = np.empty(len(words), dtype=np.float32)

    def judge(self, recruits_P: np.ndarray) -> Novelties:
        """See ``novelty.Comparison.judge``."""
        passages = len(recruits_P)
        found = Novelties(np.empty(passages), np.empty(passages, dtype=np.int64), np.empty(passages))
        self._crowding_n = self._near.crowding_n.copy()
        assert kernels.compiled is not None
        kernels.compiled.judge_passages(
            *self._near._replace(crowding_n=self._crowding_n),
            self._among_PP,
            self._segments_P,
            *self._table,
            *self._words,
            recruits_P,
            found.score_P,
            found.nearest_P,
            found.similarity_P,
            self._crowding_P,
        )
        return found

    def nearest_neighbours(self, slots_P: np.ndarray, recruits_P: np.ndarray, count: int) -> np.ndarray:
        """See ``novelty.Comparison.nearest_neighbours``; of the passages last judged, with these recruits."""
        nearest_n, slots_R = np.zeros(count, dtype=np.float32), slots_P[recruits_P]
        nearest_n[: len(self._crowding_n)] = self._crowding_n
        if (slots_R < len(self._crowding_n)).any():
            # A pattern that the only passage took the place of is not beside it.
            others_C = (self._near.slots_PC[0] >= 0) & (self._near.slots_PC[0] != slots_R[0])
            nearest_n[slots_R] = self._near.cosine_PC[0].max(initial=0.0, where=others_C)
        else:
            nearest_n[slots_R] = self._crowding_P[recruits_P]
        return nearest_n


def _numbered(table: WordTable, words: Sequence[list[WordId]]) -> tuple[np.ndarray, ...]:
    """Words said and words kept, each behind one another, and of each number its index in the table and its kind."""
    said = [dict.fromkeys(passage) for passage in words]
    number = {word: place for place, word in enumerate(dict.fromkeys(word for passage in said for word in passage))}
    together = _behind_one_another(said, number)
    is_kept_whole = max(map(len, said)) <= WORDS_PER_SLOT
    kept = together if is_kept_whole else _behind_one_another([kept_words(passage) for passage in words], number)
    index_L = np.array([table.index_of(word) for word in number], dtype=np.int64)
    return (*together, *kept, index_L, np.array([is_content(word) for word in number], dtype=bool))


def _behind_one_another(passages: Sequence[Collection[WordId]], number: dict[WordId, int]) -> tuple[Ints, Ints]:
    """Where the words of each passage begin, with the end, and the numbers of all."""
    ends_P1 = np.zeros(len(passages) + 1, dtype=np.int64)
    np.cumsum([len(passage) for passage in passages], out=ends_P1[1:])
    return ends_P1, np.array([number[word] for passage in passages for word in passage], dtype=np.int64)
