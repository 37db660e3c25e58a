"""Product-key addressing: a key picks a few rows of a large table without scoring every row.

Lample et al. 2019 (arXiv 1907.05242): each head scores two small codebooks and combines them, so n + n scores
address n * n rows. The codebooks are slow weights: seeded, regenerable, shared by every memory of one seed.

Shapes: N keys, D key_dim, H heads, S codes in each of a head's two codebooks (S * S rows a head), K active rows.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from memory_core.config import MemoryConfig


class ProductKeys:
    """Sparse, unit-norm address of a key: ``active_rows`` row numbers and their activations."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._heads = config.heads
        self._side = round((config.rows // config.heads) ** 0.5)
        self._active_per_head = config.active_rows // config.heads
        self._codes_DC = _codebook(config.key_dim, 2 * config.heads * self._side, config.seed).to(device)
        self._offsets_H1 = torch.arange(self._heads, device=device)[:, None] * self._side**2

    def address(self, keys_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and activations, both (N, K); activations are positive with Euclidean norm 1 per key."""
        n_keys, side = keys_ND.shape[0], self._side
        scores_NH2S = (keys_ND @ self._codes_DC).view(n_keys, self._heads, 2, side)
        pair_count = min(self._active_per_head, side)
        best = scores_NH2S.topk(pair_count, dim=-1)
        # The best K pairs of a sum lie among the K best of each half, so K * K candidates are enough.
        sums = best.values[:, :, 0, :, None] + best.values[:, :, 1, None, :]
        rows = best.indices[:, :, 0, :, None] * side + best.indices[:, :, 1, None, :]
        top = sums.flatten(2).topk(self._active_per_head, dim=-1)
        rows_NHK = rows.flatten(2).gather(-1, top.indices) + self._offsets_H1
        activations_NK = top.values.clamp_min(1e-6).flatten(1)
        return rows_NHK.flatten(1), torch.nn.functional.normalize(activations_NK, dim=-1)


@lru_cache(maxsize=8)
def _codebook(key_dim: int, code_count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed * 2 + 1)
    return torch.nn.functional.normalize(torch.randn(key_dim, code_count, generator=generator), dim=0)
