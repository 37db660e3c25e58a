"""How novel a text is: a calibrated number in [0, 1] with nothing fitted to a data set.

Two parts. The energy of a modern Hopfield network (Ramsauer et al., arXiv 2008.02217) over the stored keys,
L = log sum_j exp(beta (sim_j - tau)), says how well the text as a whole is known. Embeddings cannot see one changed
fact, so the word residual r, the rarity-weighted share of the input that the nearest pattern does not carry, is added:

    s = 1 - (1 - sigmoid(a r - L)) (1 - b r)

Shapes: N texts, n patterns in use, D key_dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from memory_core.encoding.words import Word
from memory_core.patterns.word_table import WordTable, content_stems
from memory_core.results import SurprisingWord

BETA: Final = 20.0
TAU: Final = 0.6
RESIDUAL_IN_ENERGY: Final = 4.0
RESIDUAL_ALONE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Familiarity:
    """Log energy of a key, its nearest slot (-1: none) and their cosine."""

    log_energy: float
    nearest: int
    similarity: float


def familiarity(similarity_Nn: torch.Tensor) -> list[Familiarity]:
    """Energy and nearest pattern for each row of cosines."""
    if similarity_Nn.shape[1] == 0:
        return [Familiarity(-BETA * TAU, -1, 0.0)] * len(similarity_Nn)
    energy_N = torch.logsumexp(BETA * (similarity_Nn - TAU), dim=1)
    best = similarity_Nn.max(dim=1)
    rows = zip(energy_N.tolist(), best.indices.tolist(), best.values.tolist(), strict=True)
    return [Familiarity(energy, nearest, cosine) for energy, nearest, cosine in rows]


def word_residual(table: WordTable, slot: int, words: tuple[Word, ...], n_patterns: int) -> float:
    """Share of the input's rarity-weighted content words that ``slot`` does not carry, in [0, 1]."""
    stems = set(content_stems(words))
    if slot < 0 or not stems:
        return 1.0 if stems else 0.0
    rarity = {stem: table.rarity(stem, n_patterns) for stem in stems}
    unexplained = sum(value for stem, value in rarity.items() if not table.has_word(slot, stem))
    return unexplained / max(sum(rarity.values()), 1e-9)


def surprise_score(known: Familiarity, residual: float) -> float:
    """The number the API returns: 0 for what is known, towards 1 for what is new."""
    logit = RESIDUAL_IN_ENERGY * residual - known.log_energy
    energy_surprise = float(torch.sigmoid(torch.tensor(logit, dtype=torch.float64)))
    return min(1.0, max(0.0, 1.0 - (1.0 - energy_surprise) * (1.0 - RESIDUAL_ALONE * residual)))


def surprising_words(
    table: WordTable, slot: int, text: str, words: tuple[Word, ...], n_patterns: int
) -> tuple[SurprisingWord, ...]:
    """Content words that ``slot`` does not carry, most surprising first, with their share of the input's rarity."""
    stems = set(content_stems(words))
    total = max(sum(table.rarity(stem, n_patterns) for stem in stems), 1e-9)
    found: dict[str, SurprisingWord] = {}
    for word in words:
        if word.stem in stems and word.stem not in found and (slot < 0 or not table.has_word(slot, word.stem)):
            share = table.rarity(word.stem, n_patterns) / total
            found[word.stem] = SurprisingWord(
                word=text[word.start : word.end], start=word.start, end=word.end, share=share
            )
    return tuple(sorted(found.values(), key=lambda word: (-word.share, word.start)))
