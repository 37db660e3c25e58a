"""Product-key addressing: a key picks a few rows of a large table without scoring every row.

Lample et al. 2019 (arXiv 1907.05242): each head scores two small codebooks and combines them, so n + n scores
address n * n rows. The codebooks are slow weights: seeded, regenerable, shared by every memory of one seed.

Shapes: N keys, D key_dim, H heads, S codes in each of a head's two codebooks (S * S rows a head), K active rows,
P active rows of one head.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch

from memory_core.config import MemoryConfig
from memory_core.networks.row_choice import choose_rows, choose_rows_on_cpu

ACTIVATION_MIN: Final = 1e-6


class ProductKeys:
    """Sparse, unit-norm address of a key: ``active_rows`` row numbers and their activations."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._heads = config.heads
        self._side = round((config.rows // config.heads) ** 0.5)
        self._active_per_head = config.active_rows // config.heads
        self.codes_DC = _codebook(config.key_dim, 2 * config.heads * self._side, config.seed).to(device)
        self._offsets_H1 = torch.arange(self._heads, device=device)[:, None] * self._side**2
        self._choose_rows = choose_rows_on_cpu if device.type == "cpu" else choose_rows

    def address(self, keys_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and activations, both (N, K); activations are positive with Euclidean norm 1 per key."""
        scores_NH2S = (keys_ND @ self.codes_DC).view(len(keys_ND), self._heads, 2, self._side)
        rows_NHP, scores_NHP = self._choose_rows(scores_NH2S, self._active_per_head)
        activations_NK = scores_NHP.clamp_min_(ACTIVATION_MIN).flatten(1)
        activations_NK /= torch.linalg.vector_norm(activations_NK, dim=-1, keepdim=True)
        return (rows_NHP + self._offsets_H1).flatten(1), activations_NK


@lru_cache(maxsize=8)
def _codebook(key_dim: int, code_count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed * 2 + 1)
    return torch.nn.functional.normalize(torch.randn(key_dim, code_count, generator=generator), dim=0)
