"""How novel a text is: a calibrated number in [0, 1] with nothing fitted at run time.

A text is compared with the patterns nearest to its key. Each has an affinity x: the cosine of the keys, plus the
share of words in common (an embedding alone cannot see one changed word), minus how close that pattern's own nearest
neighbour is (in a crowded region a high cosine means little: the local outlier factor, Breunig et al. 2000). The
best pattern's affinity goes through the logistic energy of a Hopfield network (Ramsauer et al., arXiv 2008.02217);
the content words that differ from that pattern, d, are then counted once more, so that a changed fact shows:

    x = max_j  cos_j + 0.5 words_j - 0.3 crowding_j ;   s = 1 - (1 - sigmoid(12 (0.8 - x))) (1 - 0.35 sqrt(d))


The passages of a chunk are compared with what is known and with those before them that became patterns.
Shapes: P passages, n patterns in use, k of them that may be near, K most similar patterns of a passage, C candidates of
a passage (the most similar of those and of the passages before it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from memory_core.encoding.words import Word
from memory_core.kernels import CANDIDATES
from memory_core.patterns.bank import PatternBank
from memory_core.patterns.highest import highest
from memory_core.patterns.said_words import SaidWords, Words
from memory_core.patterns.word_table import WordId, WordTable, is_content, word_id
from memory_core.results import SurprisingWord

MARGIN: Final = 0.5
WORDS_WEIGHT: Final = 0.5
CROWDING_WEIGHT: Final = 0.3
CROWDING_FLOOR: Final = 0.3
BETA: Final = 12.0
TAU: Final = 0.8
CHANGE_WEIGHT: Final = 0.35


@dataclass(frozen=True, slots=True)
class Novelties:
    """For each of P passages the surprise score, what explains it best and the cosine with that.

    ``nearest_P`` is a slot, or n + r for passage r of the same chunk, or -1 for none.
    """

    score_P: np.ndarray
    nearest_P: np.ndarray
    similarity_P: np.ndarray


class _Candidates(NamedTuple):
    similarity_PC: np.ndarray
    slot_PC: np.ndarray
    segments_PC: np.ndarray
    crowding_PC: np.ndarray
    words: Words


class Near(NamedTuple):
    """Patterns that passages may be near to, ascending, and the cosine of each passage with them."""

    slots_k: np.ndarray
    cosine_Pk: np.ndarray


class Comparison:
    """P passages beside the patterns they may be near to and, when ``among_PP`` is given, beside each other.

    ``among_PP[p, r]``: cosine of p with what r would become.
    """

    def __init__(
        self,
        bank: PatternBank,
        table: WordTable,
        words: Sequence[list[WordId]],
        segments: Sequence[int],
        near: Near,
        among_PP: np.ndarray | None = None,
    ) -> None:
        self._said = SaidWords(table, words)
        self._segments_P = np.array(segments)
        self._near = near
        self._among_PP = among_PP if len(words) > 1 else None
        self._pattern_count = bank.count
        column_PK = highest(near.cosine_Pk, CANDIDATES)
        slot_PK = near.slots_k[column_PK]
        self._known = _Candidates(
            np.take_along_axis(near.cosine_Pk, column_PK, axis=1),
            slot_PK,
            bank.columns["segments_U"][slot_PK],
            bank.columns["crowding_U"][slot_PK],
            self._said.of_slots(slot_PK),
        )
        if self._among_PP is not None:
            self._highest_P = near.cosine_Pk.max(axis=1, initial=0.0)
            # [r, p, k]: cosine of passage r with candidate k of passage p.
            self._near_PPK = near.cosine_Pk[:, column_PK.ravel()].reshape(len(words), *column_PK.shape)

    def judge(self, recruits_P: np.ndarray) -> Novelties:
        """Novelty of each passage, given which of the passages before it became patterns."""
        found = self._candidates(recruits_P)
        if not found.slot_PC.shape[1]:
            return Novelties(np.ones(len(recruits_P)), np.full(len(recruits_P), -1), np.zeros(len(recruits_P)))
        highest_P1 = found.similarity_PC.max(axis=1, keepdims=True)
        can_win_PC = (found.similarity_PC >= highest_P1 - MARGIN) & (found.similarity_PC > -np.inf)
        # A passage inside a longer pattern is known: what else that pattern says does not count against it.
        is_longer_PC = found.segments_PC > self._segments_P[:, None]
        shared = self._said.shared(found.words, recruits_P)
        overlap_PC = _overlap(shared.own_P, shared.theirs_PC, shared.common_PC, is_longer_PC)
        affinity_PC = found.similarity_PC + WORDS_WEIGHT * overlap_PC
        affinity_PC -= CROWDING_WEIGHT * np.maximum(CROWDING_FLOOR, found.crowding_PC)
        best_P = (np.arange(len(recruits_P)), np.where(can_win_PC, affinity_PC, -np.inf).argmax(axis=1))
        content_PC = _overlap(shared.own_content_P, shared.theirs_content_PC, shared.common_content_PC, is_longer_PC)
        overlap_P = np.where(shared.own_content_P > 0.0, content_PC[best_P], overlap_PC[best_P])
        known_P = 1.0 / (1.0 + np.exp(np.minimum(50.0, BETA * (TAU - affinity_PC[best_P]))))
        score_P = 1.0 - known_P * (1.0 - CHANGE_WEIGHT * np.sqrt(np.maximum(0.0, 1.0 - overlap_P)))
        is_alone_P = ~can_win_PC.any(axis=1)
        return Novelties(
            score_P=np.where(is_alone_P, 1.0, np.clip(score_P, 0.0, 1.0)),
            nearest_P=np.where(is_alone_P, -1, found.slot_PC[best_P]),
            similarity_P=np.where(is_alone_P, 0.0, found.similarity_PC[best_P]),
        )

    def nearest_neighbours(self, slots_P: np.ndarray, recruits_P: np.ndarray, count: int) -> np.ndarray:
        """For each of ``count`` patterns its cosine with the nearest of the passages that became patterns, or of the
        patterns that it came near as one of them; 0 for none."""
        recruited_R = np.flatnonzero(recruits_P)
        nearest_n = np.zeros(count, dtype=np.float32)
        if not len(recruited_R):
            return nearest_n
        cosine_Rk = self._near.cosine_Pk if recruits_P.all() else self._near.cosine_Pk[recruited_R]
        slots_R = slots_P[recruited_R]
        if (slots_R < self._pattern_count).any():
            cosine_Rk = np.where(self._near.slots_k == slots_R[:, None], 0.0, cosine_Rk)
        nearest_n[self._near.slots_k] = cosine_Rk.max(axis=0)
        own_R = cosine_Rk.max(axis=1, initial=0.0)
        if self._among_PP is not None:
            among_RR = np.tril(self._among_PP[np.ix_(recruited_R, recruited_R)], k=-1)
            own_R = np.maximum(own_R, np.maximum(among_RR.max(axis=0), among_RR.max(axis=1)))
        nearest_n[slots_R] = own_R
        return nearest_n

    def _candidates(self, recruits_P: np.ndarray) -> _Candidates:
        among_PP, known = self._among_PP, self._known
        if among_PP is None:
            return known
        n_patterns, passages = self._pattern_count, np.arange(len(recruits_P))
        is_before_PP = (passages < passages[:, None]) & recruits_P
        came_near_PK = np.where(is_before_PP.T[:, :, None], self._near_PPK, 0.0).max(axis=0)
        similarity, slots, segments, crowding = (
            np.concatenate([known_PK, np.broadcast_to(of_passages_PP, among_PP.shape)], axis=1)
            for known_PK, of_passages_PP in (
                (known.similarity_PC, np.where(is_before_PP, among_PP, -np.inf)),
                (known.slot_PC, n_patterns + passages),
                (known.segments_PC, self._segments_P),
                (np.maximum(known.crowding_PC, came_near_PK), self._crowding_of_passages(among_PP, recruits_P)),
            )
        )
        chosen_PC = highest(similarity, CANDIDATES)
        similarity, slots, segments, crowding = (
            np.take_along_axis(column, chosen_PC, axis=1) for column in (similarity, slots, segments, crowding)
        )
        return _Candidates(similarity, slots, segments, crowding, self._words(chosen_PC))

    def _crowding_of_passages(self, among_PP: np.ndarray, recruits_P: np.ndarray) -> np.ndarray:
        """[p, r]: how near passage r, as a pattern, has come to another one when p's turn comes."""
        earlier_PP = np.tril(among_PP, k=-1)
        at_birth_P = np.maximum(self._highest_P, np.where(recruits_P, earlier_PP, 0.0).max(axis=1))
        # Passage q came near r when r stood before it and q became a pattern.
        came_near_PP = np.where(recruits_P[:, None], earlier_PP, 0.0)
        later_PP = np.zeros_like(came_near_PP)
        np.maximum.accumulate(came_near_PP[:-1], axis=0, out=later_PP[1:])
        crowding_PP: np.ndarray = np.maximum(later_PP, at_birth_P)
        return crowding_PP

    def _words(self, chosen_PC: np.ndarray) -> Words:
        known, near = self._known.words, self._known.slot_PC.shape[1]
        width = known.index_PCW.shape[2]
        of_passages = self._said.of_passages(np.maximum(chosen_PC - near, 0), width)
        if not near:
            return of_passages
        place_PC = (np.arange(len(chosen_PC))[:, None], np.minimum(chosen_PC, near - 1))
        is_known_PC1 = (chosen_PC < near)[:, :, None]
        return Words(
            np.where(is_known_PC1, known.index_PCW[place_PC], of_passages.index_PCW),
            np.where(is_known_PC1, known.number_PCW[place_PC], of_passages.number_PCW),
        )


def explained_share(table: WordTable, slot: int, words: Iterable[WordId]) -> float:
    """Share of the text's rarity-weighted content words that ``slot`` carries, in [0, 1]."""
    distinct = dict.fromkeys(words)
    rarity = {word: table.rarity(word) for word in [word for word in distinct if is_content(word)] or distinct}
    known = table.words_of(slot)
    return sum(value for word, value in rarity.items() if word in known) / max(sum(rarity.values()), 1e-9)


def surprising_words(
    table: WordTable, slot: int, text: str, span: tuple[int, int], words: tuple[Word, ...]
) -> tuple[SurprisingWord, ...]:
    """Content words of ``text[span]`` that ``slot`` (-1: none) does not carry, most surprising first.

    Positions are character offsets in ``text``; ``share`` is the word's part of the segment's rarity.
    """
    ids = {word: word_id(word.stem, word.is_function_word) for word in words}
    content = {number for number in ids.values() if is_content(number)}
    total = max(sum(table.rarity(number) for number in content), 1e-9)
    known = table.words_of(slot) if slot >= 0 else set()
    found: dict[WordId, SurprisingWord] = {}
    for word, number in ids.items():
        if number in content and number not in known and number not in found:
            share = table.rarity(number) / total
            start, end = span[0] + word.start, span[0] + word.end
            found[number] = SurprisingWord(word=text[start:end], start=start, end=end, share=share)
    return tuple(sorted(found.values(), key=lambda word: (-word.share, word.start)))


def _overlap(own_P: np.ndarray, theirs_PC: np.ndarray, common_PC: np.ndarray, is_longer_PC: np.ndarray) -> np.ndarray:
    """Dice's coefficient of two texts' words by rarity; for a longer one the share of the passage that it carries."""
    own_P1 = own_P[:, None]
    total_PC = np.where(is_longer_PC, 2.0 * own_P1, own_P1 + theirs_PC)
    shares_PC = np.minimum(1.0, 2.0 * common_PC / np.maximum(total_PC, 1e-9))
    overlap_PC: np.ndarray = np.where(total_PC > 0.0, shares_PC, 1.0)
    return overlap_PC
