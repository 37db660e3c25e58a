"""Learned precision: which directions of key space tell this memory's patterns apart.

The read q^T (K^T K + lambda I)^-1 k_j is the fixed point of the delta rule, i.e. recursive least squares
(MesaNet, arXiv 2506.05233). Moments are summed at every observation; the inverse is refreshed when their count has
grown by a sixteenth, so an observation costs O(D^2) and the state alone decides every answer.

Shapes: N keys, D key_dim.
"""

from __future__ import annotations

import math
from typing import Final

import torch

REFRESH_GROWTH: Final = 1.0625


def unit_rows(rows_ND: torch.Tensor) -> torch.Tensor:
    """Rows of unit norm, as ``torch.nn.functional.normalize`` makes them, with less around it."""
    norms_N1: torch.Tensor = torch.linalg.vector_norm(rows_ND, dim=-1, keepdim=True)
    return rows_ND / norms_N1.clamp_min_(1e-12)


class Precision:
    """Mean and second moment of the observed keys, and the precision matrix derived from them."""

    def __init__(self, key_dim: int, device: torch.device) -> None:
        self.count = 0
        self.refreshed_at = 0
        self.sum_D = torch.zeros(key_dim, device=device)
        self.second_DD = torch.zeros(key_dim, key_dim, device=device)
        self.mean_D = torch.zeros(key_dim, device=device)
        self.precision_DD = torch.eye(key_dim, device=device)

    def learn(self, keys_ND: torch.Tensor) -> None:
        """Add keys in order; the inverse is refreshed at the same counts however the keys are grouped."""
        start, total = 0, keys_ND.shape[0]
        while start < total:
            due = max(2, math.ceil(self.refreshed_at * REFRESH_GROWTH), self.refreshed_at + 1)
            end = min(total, start + max(1, due - self.count))
            self._add(keys_ND[start:end])
            if self.count >= due:
                self._refresh()
            start = end

    def centre(self, keys_ND: torch.Tensor) -> torch.Tensor:
        """Keys minus the mean of the last refresh, unit norm. Raw encoder keys are anisotropic; centred ones spread."""
        return unit_rows(keys_ND - self.mean_D)

    def clone(self) -> Precision:
        """An independent copy."""
        copy = Precision(len(self.sum_D), self.sum_D.device)
        copy.count, copy.refreshed_at = self.count, self.refreshed_at
        for name in ("sum_D", "second_DD", "mean_D", "precision_DD"):
            setattr(copy, name, getattr(self, name).clone())
        return copy

    def _add(self, keys_ND: torch.Tensor) -> None:
        self.count += keys_ND.shape[0]
        self.sum_D += keys_ND.sum(0)
        self.second_DD.addmm_(keys_ND.T, keys_ND)

    def _refresh(self) -> None:
        mean_D = self.sum_D / self.count
        covariance_DD = self.second_DD / self.count - torch.outer(mean_D, mean_D)
        ridge = covariance_DD.diagonal().mean().clamp_min(1e-6)
        eye_DD = torch.eye(len(mean_D), device=mean_D.device)
        # lambda is the mean variance: the directions that carry less than their share are damped, not amplified.
        factor_DD = torch.linalg.cholesky(covariance_DD / ridge + eye_DD)
        self.precision_DD = torch.cholesky_inverse(factor_DD).contiguous()
        self.mean_D = mean_D
        self.refreshed_at = self.count
