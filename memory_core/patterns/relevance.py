"""Which of a pattern's texts a query is about: the one that has most words in common with it, by learned rarity."""

from __future__ import annotations

from collections.abc import Sequence

from memory_core.patterns.word_table import WordId, WordTable, words_of_text
from memory_core.results import Exemplar

Rarities = dict[WordId, float]


def most_relevant_first(
    table: WordTable, language: str, words: Sequence[WordId], exemplars: tuple[Exemplar, ...]
) -> tuple[Exemplar, ...]:
    """The exemplars by the share of words they have in common with the query; the latest first of equals."""
    if len(exemplars) < 2:
        return exemplars
    asked = {word: table.rarity(word) for word in words}
    likeness = [overlap(asked, rarities(table, item.text, language)) for item in exemplars]
    order = sorted(range(len(exemplars)), key=lambda position: (-likeness[position], -position))
    return tuple(exemplars[position] for position in order)


def rarities(table: WordTable, text: str, language: str) -> Rarities:
    """The distinct words of a text with their learned rarity."""
    return {word: table.rarity(word) for word in words_of_text(text, language)}


def overlap(own: Rarities, other: Rarities) -> float:
    """Share of the rarity of both texts that is in words of both, in [0, 1]."""
    total = sum(own.values()) + sum(other.values())
    return 2.0 * sum(value for word, value in own.items() if word in other) / max(total, 1e-9)
