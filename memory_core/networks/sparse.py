"""The default fast weights: product-key rows written by the delta rule with a precision-weighted gain.

A pair touches K of R rows. Each row carries a variance P: a row that was written often moves less, which is the
diagonal Kalman form of the delta rule and plays the part of elastic weight consolidation (Sparse Memory Finetuning,
arXiv 2510.15103, motivates writing few rows; the gain is Kalman's). One step, a = sparse address of the key:

    y = W[rows]^T a ;  e = v - y                       momentary surprise, gradient of Titans eq. 12 is -2 a e^T
    S = sum P a^2 ;  el = max(S / (r + S), floor) * theta
    g = P a el / S ;  W[rows] += g e^T ;  P = clamp(P (1 - g a) + q, 1e-4, 1)

``sum(g a) = el`` exactly, so each repeat shrinks the error by 1 - el. The chunk form solves one triangular system
(DeltaNet's UT form, arXiv 2406.06484, with write vector g beside read vector a): it equals the single steps.

Shapes: N pairs, D key_dim, V value_dim, R rows, K active rows, B pairs of one block.
"""

from __future__ import annotations

from typing import Final

import torch

from memory_core.config import MemoryConfig
from memory_core.errors import LearningFailed
from memory_core.networks.network import FastWeights
from memory_core.networks.product_keys import ProductKeys

NOISE_R: Final = 0.2
GAIN_FLOOR: Final = 0.35
DRIFT_Q: Final = 1e-6
VARIANCE_MIN: Final = 1e-4
BLOCK: Final = 64


class SparseNetwork:
    """Network for ``variant="sparse"``; value_dim equals key_dim."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._addresses = ProductKeys(config, device)

    def initial(self) -> FastWeights:
        """Zero rows with variance 1."""
        config = self._config
        return {
            "rows_RV": torch.zeros(config.rows, config.key_dim, device=self._device),
            "variance_R": torch.ones(config.rows, device=self._device),
        }

    def update(
        self, weights: FastWeights, keys_ND: torch.Tensor, values_NV: torch.Tensor, step_size: float
    ) -> tuple[FastWeights, torch.Tensor, torch.Tensor]:
        """See Network.update; blocks of 64 pairs are solved at once."""
        rows_NK, activations_NK = self._addresses.address(keys_ND)
        if not bool(torch.isfinite(activations_NK).all() and torch.isfinite(values_NV).all()):
            raise LearningFailed(
                "A key or value is not finite; nothing was learned.", hint="Report the text's encoder."
            )
        losses, norms = [], []
        for start in range(0, keys_ND.shape[0], BLOCK):
            block = slice(start, start + BLOCK)
            loss_B, norm_B = self._update_block(
                weights, rows_NK[block], activations_NK[block], values_NV[block], step_size
            )
            losses.append(loss_B)
            norms.append(norm_B)
        return weights, torch.cat(losses), torch.cat(norms)

    def read(self, weights: FastWeights, keys_ND: torch.Tensor) -> torch.Tensor:
        """See Network.read."""
        rows_NK, activations_NK = self._addresses.address(keys_ND)
        return torch.einsum("nk,nkv->nv", activations_NK, weights["rows_RV"][rows_NK])

    def _update_block(
        self,
        weights: FastWeights,
        rows_BK: torch.Tensor,
        activations_BK: torch.Tensor,
        values_BV: torch.Tensor,
        step_size: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gains_BK = _gains(weights["variance_R"], rows_BK, activations_BK, step_size)
        touched_T, slots = rows_BK.unique(return_inverse=True)
        before_TV = weights["rows_RV"][touched_T]
        reads_BT = _spread(slots, activations_BK, len(touched_T))
        writes_BT = _spread(slots, gains_BK, len(touched_T))
        coupling_BB = torch.tril(reads_BT @ writes_BT.T, diagonal=-1)
        coupling_BB.diagonal().fill_(1.0)
        errors_BV = torch.linalg.solve_triangular(
            coupling_BB, values_BV - reads_BT @ before_TV, upper=False, unitriangular=True
        )
        weights["rows_RV"][touched_T] = torch.addmm(before_TV, writes_BT.T, errors_BV)
        error_norms_B = errors_BV.norm(dim=-1)
        return error_norms_B.square(), gains_BK.norm(dim=-1) * error_norms_B


def _spread(slots_BK: torch.Tensor, amounts_BK: torch.Tensor, width: int) -> torch.Tensor:
    return torch.zeros(len(slots_BK), width, device=amounts_BK.device).scatter_add_(1, slots_BK, amounts_BK)


def _gains(
    variance_R: torch.Tensor, rows_BK: torch.Tensor, activations_BK: torch.Tensor, step_size: float
) -> torch.Tensor:
    """Write vectors of each pair; steps the variances in order (they do not depend on the values)."""
    gains = []
    for rows_K, activations_K in zip(rows_BK, activations_BK, strict=True):
        variance_K = variance_R[rows_K]
        weighted_K = variance_K * activations_K
        total = weighted_K @ activations_K
        gain_K = weighted_K * (step_size * torch.clamp_min(total / (NOISE_R + total), GAIN_FLOOR) / total)
        stepped_K = variance_K * (1 - gain_K * activations_K) + DRIFT_Q
        variance_R[rows_K] = stepped_K.clamp_(VARIANCE_MIN, 1.0)
        gains.append(gain_K)
    return torch.stack(gains)
