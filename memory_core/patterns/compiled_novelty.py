"""Novelty of passages by the compiled loop: what ``novelty.Comparison`` gives, passage by passage instead of at once.

Shapes: P passages, n patterns in use, k of them that may be near, E words of all passages, L distinct ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memory_core import kernels
from memory_core.kernels import Ints, Kernels
from memory_core.patterns.bank import PatternBank
from memory_core.patterns.novelty import Comparison, Near, Novelties
from memory_core.patterns.word_table import WORDS_PER_SLOT, WordId, WordTable, is_content, kept_words


class CompiledComparison:
    """See ``novelty.Comparison``; words are numbered by those of the chunk."""

    def __init__(
        self,
        compiled: Kernels,
        bank: PatternBank,
        table: WordTable,
        words: Sequence[list[WordId]],
        segments: Sequence[int],
        near: Near,
        among_PP: np.ndarray | None,
    ) -> None:
        self._kernels, self._bank, self._near, self._among_PP = compiled, bank, near, among_PP
        said = [dict.fromkeys(passage) for passage in words]
        number = {word: place for place, word in enumerate(dict.fromkeys(word for passage in said for word in passage))}
        said_P1, said_E = _behind_one_another(said, number)
        is_kept_whole = max(map(len, said)) <= WORDS_PER_SLOT
        kept = (said_P1, said_E) if is_kept_whole else _behind_one_another(list(map(kept_words, words)), number)
        self._table = (
            bank.count,
            np.array(segments, dtype=np.int32),
            bank.columns["segments_U"],
            bank.columns["crowding_U"],
            table.index_UW,
            table.frequency_V,
            table.is_content_V,
            table.slot_count,
        )
        self._words = (
            said_P1,
            said_E,
            *kept,
            np.array([table.index_of(word) for word in number], dtype=np.int64),
            np.array([is_content(word) for word in number], dtype=bool),
        )
        self._near_k = np.empty(len(near.slots_k), dtype=np.float32)
        self._crowding_P = np.empty(len(words), dtype=np.float32)

    def judge(self, recruits_P: np.ndarray) -> Novelties:
        """See ``novelty.Comparison.judge``."""
        passages = len(recruits_P)
        found = Novelties(np.empty(passages), np.empty(passages, dtype=np.int64), np.empty(passages))
        self._kernels.judge_passages(
            np.ascontiguousarray(self._near.cosine_Pk),
            self._near.slots_k,
            self._among_PP,
            *self._table,
            *self._words,
            recruits_P,
            found.score_P,
            found.nearest_P,
            found.similarity_P,
            self._near_k,
            self._crowding_P,
        )
        return found

    def nearest_neighbours(self, slots_P: np.ndarray, recruits_P: np.ndarray, count: int) -> np.ndarray:
        """See ``novelty.Comparison.nearest_neighbours``; of the passages last judged, with these recruits."""
        nearest_n = np.zeros(count, dtype=np.float32)
        slots_R = slots_P[recruits_P]
        nearest_n[self._near.slots_k] = self._near_k
        if (slots_R < self._table[0]).any():
            # A pattern that the only passage took the place of is not beside it.
            is_other_k = self._near.slots_k != slots_R[0]
            nearest_n[slots_R] = self._near_k.max(initial=0.0, where=is_other_k)
        else:
            nearest_n[slots_R] = self._crowding_P[recruits_P]
        return nearest_n


AnyComparison = Comparison | CompiledComparison


def compare(
    bank: PatternBank,
    table: WordTable,
    words: Sequence[list[WordId]],
    segments: Sequence[int],
    near: Near,
    among_PP: np.ndarray | None = None,
) -> AnyComparison:
    """Passages beside what they are compared with, ready to be judged; see ``novelty.Comparison``."""
    if kernels.compiled is None or near.cosine_Pk.dtype != np.float32:
        return Comparison(bank, table, words, segments, near, among_PP)
    return CompiledComparison(kernels.compiled, bank, table, words, segments, near, among_PP)


def _behind_one_another(
    passages: Sequence[dict[WordId, None] | dict[WordId, int]], number: dict[WordId, int]
) -> tuple[Ints, Ints]:
    """Where the words of each passage begin, with the end, and the numbers of all."""
    ends_P1 = np.zeros(len(passages) + 1, dtype=np.int64)
    np.cumsum([len(passage) for passage in passages], out=ends_P1[1:])
    return ends_P1, np.array([number[word] for passage in passages for word in passage], dtype=np.int64)
