"""The best rows of every product-key head, given the scores of its two codebooks.

``choose_rows`` is the obvious form, by ``topk``; CUDA runs it. ``SortedChoice`` gives the same rows several times
faster on the CPU: each score gives its lowest mantissa bits to its own position, so that one vectorised sort of short
rows orders both at once. A score changes by a relative S * 2^-23 at most, which moves a row only in a tie.

Shapes: N keys, H heads, S codes in each of a head's two codebooks, P rows chosen a head, C candidate pairs of codes,
Q = min(P, S) codes kept of each codebook.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def choose_rows(scores_NH2S: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows within their head and their scores, both (N, H, P), best first."""
    side = scores_NH2S.shape[-1]
    best = scores_NH2S.topk(min(count, side), dim=-1)
    # The best P pairs of a sum lie among the P best of each half.
    sums_NHC = (best.values[:, :, 0, :, None] + best.values[:, :, 1, None, :]).flatten(2)
    rows_NHC = (best.indices[:, :, 0, :, None] * side + best.indices[:, :, 1, None, :]).flatten(2)
    top = sums_NHC.topk(count, dim=-1)
    return rows_NHC.gather(-1, top.indices), top.values


class SortedChoice:
    """``choose_rows`` on NumPy arrays, with what does not depend on the scores made once."""

    def __init__(self, heads: int, side: int, count: int) -> None:
        self._kept = min(count, side)
        # Ranks (i, j) are beaten by the (i + 1)(j + 1) - 1 pairs that are better in both halves.
        ranks = np.arange(1, self._kept + 1)
        self._first_C, self._second_C = np.nonzero(np.outer(ranks, ranks) <= count)
        self._codes = _Tagged(side, self._kept)
        self._pairs = _Tagged(len(self._first_C), count)
        self._side, self._block = np.int64(side), 2 * heads * self._kept
        self._head_H1 = np.arange(0, self._block, 2 * self._kept)[:, None]

    def __call__(self, scores_NH2S: Floats) -> tuple[Ints, Floats]:
        """See ``choose_rows``."""
        best_NH2Q, codes_NH2Q = self._codes.best(scores_NH2S)
        sums_NHC = best_NH2Q[:, :, 0].take(self._first_C, -1)
        sums_NHC += best_NH2Q[:, :, 1].take(self._second_C, -1)
        top_NHP, chosen_NHP = self._pairs.best(sums_NHC)
        start_NH1 = np.arange(0, codes_NH2Q.size, self._block)[:, None, None] + self._head_H1
        rows_NHP = codes_NH2Q.take(self._first_C[chosen_NHP] + start_NH1) * self._side
        rows_NHP += codes_NH2Q.take(self._second_C[chosen_NHP] + (start_NH1 + self._kept))
        return rows_NHP, top_NHP


class _Tagged:
    """Sorts scores that carry their position in their lowest mantissa bits."""

    def __init__(self, width: int, count: int) -> None:
        self._count = count
        self._mask = np.int32((1 << max(1, (width - 1).bit_length())) - 1)
        self._positions_W = np.arange(width, dtype=np.int32)

    def best(self, scores_W: Floats) -> tuple[Floats, NDArray[np.int32]]:
        """The largest scores of the last dimension, best first, and their positions."""
        tagged_W = scores_W.view(np.int32) & ~self._mask
        tagged_W |= self._positions_W
        sorted_W = tagged_W.view(np.float32)
        sorted_W.sort(axis=-1)
        best_P = sorted_W[..., : -self._count - 1 : -1].copy()
        return best_P, best_P.view(np.int32) & self._mask
