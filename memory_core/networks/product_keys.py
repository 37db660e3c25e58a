"""Product-key addressing: a key picks a few rows of a large table without scoring every row.

Lample et al. 2019 (arXiv 1907.05242): each head scores two small codebooks and combines them, so n + n scores
address n * n rows. The codebooks are slow weights: seeded, regenerable, shared by every memory of one seed.

Shapes: N keys, D key_dim, H heads, S codes in each of a head's two codebooks (S * S rows a head), K active rows,
P active rows of one head, C candidate pairs of one head.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch

from memory_core.config import MemoryConfig
from memory_core.networks.top_scores import top_scores

ACTIVATION_MIN: Final = 1e-6


class ProductKeys:
    """Sparse, unit-norm address of a key: ``active_rows`` row numbers and their activations."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._heads = config.heads
        self._side = round((config.rows // config.heads) ** 0.5)
        self._active_per_head = config.active_rows // config.heads
        self.codes_DC = _codebook(config.key_dim, 2 * config.heads * self._side, config.seed).to(device)
        self._offsets_H1 = torch.arange(self._heads, device=device)[:, None] * self._side**2
        self._first_C, self._second_C = _candidates(self._active_per_head, self._side, device)

    def address(self, keys_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and activations, both (N, K); activations are positive with Euclidean norm 1 per key."""
        scores_NH2S = (keys_ND @ self.codes_DC).view(len(keys_ND), self._heads, 2, self._side)
        best_NH2P, codes_NH2P = top_scores(scores_NH2S, min(self._active_per_head, self._side))
        sums_NHC = best_NH2P[:, :, 0].index_select(-1, self._first_C)
        sums_NHC += best_NH2P[:, :, 1].index_select(-1, self._second_C)
        top_NHP, chosen_NHP = top_scores(sums_NHC, self._active_per_head)
        rows_NHP = codes_NH2P[:, :, 0].gather(-1, self._first_C[chosen_NHP]) * self._side
        rows_NHP += codes_NH2P[:, :, 1].gather(-1, self._second_C[chosen_NHP])
        activations_NK = top_NHP.clamp_min(ACTIVATION_MIN).flatten(1)
        return (rows_NHP + self._offsets_H1).flatten(1), torch.nn.functional.normalize(activations_NK, dim=-1)


def _candidates(count: int, side: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ranks in the two sorted halves whose sum can be among the best ``count``.

    Ranks (i, j) are beaten by the (i + 1)(j + 1) - 1 pairs that are better in both halves.
    """
    ranks = range(min(count, side))
    pairs = [(i, j) for i in ranks for j in ranks if (i + 1) * (j + 1) <= count]
    return torch.tensor([i for i, _ in pairs], device=device), torch.tensor([j for _, j in pairs], device=device)


@lru_cache(maxsize=8)
def _codebook(key_dim: int, code_count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed * 2 + 1)
    return torch.nn.functional.normalize(torch.randn(key_dim, code_count, generator=generator), dim=0)
