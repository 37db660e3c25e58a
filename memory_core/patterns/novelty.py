"""How novel a text is: a calibrated number in [0, 1] with nothing fitted at run time.

A text is compared with the patterns nearest to its key. Each has an affinity x: the cosine of the keys, plus the
share of words in common (an embedding alone cannot see one changed word), minus how close that pattern's own nearest
neighbour is (in a crowded region a high cosine means little: the local outlier factor, Breunig et al. 2000). The
best pattern's affinity goes through the logistic energy of a Hopfield network (Ramsauer et al., arXiv 2008.02217);
the content words that differ from that pattern, d, are then counted once more, so that a changed fact shows:

    x = max_j  cos_j + 0.5 words_j - 0.3 crowding_j ;   s = 1 - (1 - sigmoid(12 (0.8 - x))) (1 - 0.35 sqrt(d))

Shapes: n patterns in use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from memory_core.encoding.words import Word
from memory_core.patterns.bank import PatternBank
from memory_core.patterns.word_table import WordId, WordTable, is_content, word_id
from memory_core.results import SurprisingWord

CANDIDATES: Final = 8
MARGIN: Final = 0.5
WORDS_WEIGHT: Final = 0.5
CROWDING_WEIGHT: Final = 0.3
CROWDING_FLOOR: Final = 0.3
BETA: Final = 12.0
TAU: Final = 0.8
CHANGE_WEIGHT: Final = 0.35


@dataclass(frozen=True, slots=True)
class Novelty:
    """The surprise score, and the slot (-1: none) that explains the text best with its cosine."""

    score: float
    nearest: int
    similarity: float


NOTHING_KNOWN: Final = Novelty(1.0, -1, 0.0)


def measure_novelty(
    bank: PatternBank, table: WordTable, similarity_n: np.ndarray, words: list[WordId], segments: int
) -> Novelty:
    """Compare a passage of ``segments`` segments with all patterns; ``similarity_n``: its cosine with each."""
    if not len(similarity_n):
        return NOTHING_KNOWN
    slots = _nearest(similarity_n)
    shared = table.shared(words, slots)
    # A passage inside a longer pattern is known: what else that pattern says does not count against it.
    is_longer_k = bank.columns["segments_U"][slots] > segments
    overlap_k = _overlap(shared.own, shared.theirs_k, shared.common_k, is_longer_k)
    crowding_k = np.maximum(CROWDING_FLOOR, bank.columns["crowding_U"][slots])
    affinity_k = similarity_n[slots] + WORDS_WEIGHT * overlap_k - CROWDING_WEIGHT * crowding_k
    best = int(affinity_k.argmax())
    if shared.own_content:
        overlap_k = _overlap(shared.own_content, shared.theirs_content_k, shared.common_content_k, is_longer_k)
    known = 1.0 / (1.0 + math.exp(min(50.0, BETA * (TAU - float(affinity_k[best])))))
    score = 1.0 - known * (1.0 - CHANGE_WEIGHT * math.sqrt(max(0.0, 1.0 - float(overlap_k[best]))))
    return Novelty(min(1.0, max(0.0, score)), slots[best], float(similarity_n[slots[best]]))


def explained_share(table: WordTable, slot: int, words: Iterable[WordId]) -> float:
    """Share of the text's rarity-weighted content words that ``slot`` carries, in [0, 1]."""
    rarity = {word: table.rarity(word) for word in words}
    rarity = {word: value for word, value in rarity.items() if is_content(word)} or rarity
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


def _nearest(similarity_n: np.ndarray) -> list[int]:
    """The 8 most similar slots, among those that could still win, ascending."""
    close = np.flatnonzero(similarity_n >= similarity_n.max() - MARGIN)
    if len(close) > CANDIDATES:
        close = np.sort(close[np.argpartition(similarity_n[close], -CANDIDATES)[-CANDIDATES:]])
    nearest: list[int] = close.tolist()
    return nearest


def _overlap(own: float, theirs_k: np.ndarray, common_k: np.ndarray, is_longer_k: np.ndarray) -> np.ndarray:
    """Dice's coefficient of two texts' words by rarity; for a longer slot the share of the text's words it carries."""
    total_k = np.where(is_longer_k, 2.0 * own, own + theirs_k)
    return np.where(total_k > 0.0, np.minimum(1.0, 2.0 * common_k / np.maximum(total_k, 1e-9)), 1.0)
