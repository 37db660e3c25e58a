"""Product-key addressing: a key picks a few rows of a large table without scoring every row.

Lample et al. 2019 (arXiv 1907.05242): each head scores two small codebooks and combines them, so n + n scores
address n * n rows. The codebooks are slow weights: seeded, regenerable, shared by every memory of one seed.

Shapes: N keys, D key_dim, H heads, S codes in each of a head's two codebooks (S * S rows a head), K active rows,
P active rows of one head.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import torch

from memory_core import kernels
from memory_core.config import MemoryConfig
from memory_core.kernels import CHOSEN_MAX, Floats, Ints
from memory_core.networks.row_choice import choose_rows

ACTIVATION_MIN: Final = 1e-6


class ProductKeys:
    """Sparse, unit-norm address of a key: ``active_rows`` row numbers and their activations."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._heads = config.heads
        self._side = round((config.rows // config.heads) ** 0.5)
        self._active_per_head = config.active_rows // config.heads
        self.codes_DC = _codebook(config.key_dim, 2 * config.heads * self._side, config.seed).to(device)
        self._offsets_K = np.repeat(np.arange(self._heads) * self._side**2, self._active_per_head)
        self._device = device

    def address(self, keys_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and activations, both (N, K); activations are positive with Euclidean norm 1 per key."""
        rows_NK, activations_NK = self.address_arrays(keys_ND)
        return torch.from_numpy(rows_NK).to(self._device), torch.from_numpy(activations_NK).to(self._device)

    def address_arrays(self, keys_ND: torch.Tensor) -> tuple[Ints, Floats]:
        """``address`` as NumPy arrays, for work on the row numbers themselves."""
        scores_NH2S = (keys_ND @ self.codes_DC).view(len(keys_ND), self._heads, 2, self._side)
        if kernels.compiled is None or self._device.type != "cpu" or self._active_per_head > CHOSEN_MAX:
            return self._plainly(scores_NH2S)
        rows_NHP = np.empty((len(keys_ND), self._heads, self._active_per_head), dtype=np.int64)
        activations_NHP = np.empty(rows_NHP.shape, dtype=np.float32)
        kernels.compiled.choose_rows(scores_NH2S.numpy(), rows_NHP, activations_NHP)
        return rows_NHP.reshape(len(keys_ND), -1), activations_NHP.reshape(len(keys_ND), -1)

    def _plainly(self, scores_NH2S: torch.Tensor) -> tuple[Ints, Floats]:
        rows_NHP, scores_NHP = choose_rows(scores_NH2S, self._active_per_head)
        activations_NK = torch.nn.functional.normalize(scores_NHP.clamp_min(ACTIVATION_MIN).flatten(1), dim=-1)
        return rows_NHP.cpu().numpy().reshape(activations_NK.shape) + self._offsets_K, activations_NK.cpu().numpy()


@lru_cache(maxsize=8)
def _codebook(key_dim: int, code_count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed * 2 + 1)
    return torch.nn.functional.normalize(torch.randn(key_dim, code_count, generator=generator), dim=0)
