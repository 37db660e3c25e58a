"""The best rows of every product-key head, given the scores of its two codebooks.

``choose_rows`` is the obvious form, by ``topk``; CUDA runs it. ``choose_rows_on_cpu`` gives the same rows several
times faster: each score gives its lowest mantissa bits to its own position, so that one vectorised sort of short
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


def choose_rows_on_cpu(scores_NH2S: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """See ``choose_rows``."""
    n_keys, heads, _, side = scores_NH2S.shape
    kept = min(count, side)
    first_C, second_C = _candidates(count, kept)
    best_NH2Q, codes_NH2Q = _best(scores_NH2S.numpy(), kept)
    sums_NHC = best_NH2Q[:, :, 0].take(first_C, -1)
    sums_NHC += best_NH2Q[:, :, 1].take(second_C, -1)
    top_NHP, chosen_NHP = _best(sums_NHC, count)
    start_NH1 = np.arange(0, codes_NH2Q.size, 2 * kept).reshape(n_keys, heads, 1)
    rows_NHP = codes_NH2Q.take(first_C[chosen_NHP] + start_NH1) * np.int64(side)
    rows_NHP += codes_NH2Q.take(second_C[chosen_NHP] + (start_NH1 + kept))
    return torch.from_numpy(rows_NHP), torch.from_numpy(top_NHP)


def _candidates(count: int, kept: int) -> tuple[Ints, Ints]:
    """Ranks (i, j) in the two halves that can be among the best: (i + 1)(j + 1) - 1 pairs are better in both."""
    ranks = np.arange(1, kept + 1)
    first_C, second_C = np.nonzero(np.outer(ranks, ranks) <= count)
    return first_C, second_C


def _best(scores_W: Floats, count: int) -> tuple[Floats, NDArray[np.int32]]:
    width = scores_W.shape[-1]
    mask = np.int32((1 << max(1, (width - 1).bit_length())) - 1)
    tagged_W = scores_W.view(np.int32) & ~mask
    tagged_W |= np.arange(width, dtype=np.int32)
    sorted_W = tagged_W.view(np.float32)
    sorted_W.sort(axis=-1)
    best_P = sorted_W[..., : -count - 1 : -1].copy()
    return best_P, best_P.view(np.int32) & mask
