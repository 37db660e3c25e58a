"""The best rows of every product-key head, given the scores of its two codebooks: the plain form, by ``topk``.

Shapes: N keys, H heads, S codes in each of a head's two codebooks, P rows chosen a head.
"""

from __future__ import annotations

import torch


def choose_rows(scores_NH2S: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows within their head and their scores, both (N, H, P), best first."""
    side = scores_NH2S.shape[-1]
    best = scores_NH2S.topk(min(count, side), dim=-1)
    # The best P pairs of a sum lie among the P best of each half.
    sums_NHC = (best.values[:, :, 0, :, None] + best.values[:, :, 1, None, :]).flatten(2)
    rows_NHC = (best.indices[:, :, 0, :, None] * side + best.indices[:, :, 1, None, :]).flatten(2)
    top = sums_NHC.topk(count, dim=-1)
    return rows_NHC.gather(-1, top.indices), top.values
