"""A matrix as fast weights, learned by the delta rule or by recursive least squares: exact in chunks.

Delta rule, in the gated form of Gated DeltaNet (arXiv 2412.06464, eq. 10; alpha = 0 is DeltaNet, arXiv 2406.06484):

    e_t = v_t - (1 - alpha) k_t^T M_{t-1} ;  M_t = (1 - alpha) M_{t-1} + beta_t k_t e_t^T ,  beta_t = theta / (1 + n/D)

Recursive least squares, the fixed point of the delta rule (MesaNet, arXiv 2506.05233), with noise r and step theta:

    g_t = P_{t-1} k_t / (r/theta + k_t^T P_{t-1} k_t) ;  M_t = M_{t-1} + g_t e_t^T ;  P_t = P_{t-1} - g_t k_t^T P_{t-1}

In both, what pair j wrote reaches pair i > j through one number, so all errors of a block solve one unit triangular
system (DeltaNet's UT form; for least squares the factor of K P K^T + r/theta I). It equals the single steps exactly.

Shapes: N pairs, D key_dim, V value_dim, B pairs of one block.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from memory_core.config import MemoryConfig
from memory_core.errors import LearningFailed
from memory_core.networks.network import FastWeights

BLOCK: Final = 64
NOISE_R: Final = 0.1
# P shrinks towards its rounding errors, which reach 1e-6 after a million pairs and must not make it indefinite.
REPAIR_EVERY: Final = 65536
REPAIR_LIFT: Final = 1e-6


class LinearNetwork:
    """Network for ``variant="linear"`` with ``linear_rule`` ``"delta"`` or ``"recursive"``."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._is_recursive = config.linear_rule == "recursive"

    def initial(self) -> FastWeights:
        """Zero weights that have met no pair."""
        dim = self._config.key_dim
        weights = {
            "weight_DV": torch.zeros(dim, dim, dtype=getattr(torch, self._config.dtype), device=self._device),
            "pair_count_1": torch.zeros(1, dtype=torch.int64, device=self._device),
        }
        if self._is_recursive:
            weights["covariance_DD"] = torch.eye(dim, device=self._device)
        return weights

    def update(
        self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor, step_size: float
    ) -> tuple[FastWeights, Tensor, Tensor]:
        """See Network.update; blocks of 64 pairs are solved at once."""
        learned = {name: tensor.clone() for name, tensor in weights.items()}
        learned["weight_DV"] = learned["weight_DV"].float()
        step = self._recursive_block if self._is_recursive else self._delta_block
        steps = [
            step(learned, keys_ND[start : start + BLOCK], values_NV[start : start + BLOCK], step_size)
            for start in range(0, len(keys_ND), BLOCK)
        ]
        losses_N, norms_N = (torch.cat(parts) for parts in zip(*steps, strict=True))
        learned["weight_DV"] = learned["weight_DV"].to(weights["weight_DV"].dtype)
        checked = [losses_N, norms_N, *(tensor for tensor in learned.values() if tensor.is_floating_point())]
        if not all(bool(torch.isfinite(tensor.sum())) for tensor in checked):
            raise LearningFailed(
                "A step is not a finite number; nothing was learned.", hint="Report the text's encoder."
            )
        return learned, losses_N, norms_N

    def read(self, weights: FastWeights, keys_ND: Tensor) -> Tensor:
        """See Network.read."""
        return keys_ND @ weights["weight_DV"].float()

    def gradients(self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """(X_ND, G_NV) of ||M(k) - v||^2: the gradient of pair n is the outer product of their n-th rows."""
        return {"weight_DV": (keys_ND, 2 * (self.read(weights, keys_ND) - values_NV))}

    def _delta_block(
        self, weights: FastWeights, keys_BD: Tensor, values_BV: Tensor, step_size: float
    ) -> tuple[Tensor, Tensor]:
        """E = (I + strict_tril(Gam . K K^T diag(beta)))^-1 (V - diag(gamma) K M_0) ; Gam_ij = gamma_i / gamma_j."""
        size, weight_DV = len(keys_BD), weights["weight_DV"]
        steps_B = torch.full((size,), step_size, device=self._device)
        if self._config.gates == "annealed":
            steps_B /= 1 + (weights["pair_count_1"] + torch.arange(size, device=self._device)) / self._config.key_dim
        ages_BB = torch.arange(size, device=self._device)[:, None] - torch.arange(size, device=self._device)
        retain = 1 - self._config.forget_gate
        kept_BB = retain ** ages_BB.clamp_min(0)
        kept_B = retain ** torch.arange(1, size + 1, device=self._device)
        errors_BV = _solve(
            kept_BB * (keys_BD @ keys_BD.T) * steps_B, values_BV - kept_B[:, None] * (keys_BD @ weight_DV)
        )
        writes_BD = (steps_B * kept_BB[-1])[:, None] * keys_BD
        weights["weight_DV"] = torch.addmm(weight_DV, writes_BD.T, errors_BV, beta=float(kept_B[-1]))
        weights["pair_count_1"] += size
        error_norms_B = errors_BV.norm(dim=-1)
        return error_norms_B.square(), steps_B * keys_BD.norm(dim=-1) * error_norms_B

    def _recursive_block(
        self, weights: FastWeights, keys_BD: Tensor, values_BV: Tensor, step_size: float
    ) -> tuple[Tensor, Tensor]:
        """K P K^T + r/theta I = L diag(d) L^T: errors E = L^-1 (V - K M_0), and columns P_{t-1} k_t = P K^T L^-T."""
        covariance_DD, noise = weights["covariance_DD"], NOISE_R / step_size
        spread_BD = keys_BD @ covariance_DD
        system_BB = spread_BD @ keys_BD.T
        system_BB.diagonal().add_(noise)
        factor_BB = torch.linalg.cholesky_ex(system_BB).L
        scale_B = factor_BB.diagonal()
        unit_BB = factor_BB / scale_B
        errors_BV = _solve(unit_BB, values_BV - keys_BD @ weights["weight_DV"])
        directions_BD = _solve(unit_BB, spread_BD)
        gains_BD = directions_BD / scale_B.square()[:, None]
        weights["weight_DV"] += gains_BD.T @ errors_BV
        covariance_DD -= gains_BD.T @ directions_BD
        blocks_before = int(weights["pair_count_1"]) // REPAIR_EVERY
        weights["pair_count_1"] += len(keys_BD)
        if int(weights["pair_count_1"]) // REPAIR_EVERY != blocks_before:
            weights["covariance_DD"] = (covariance_DD + covariance_DD.T) / 2
            weights["covariance_DD"].diagonal().add_(REPAIR_LIFT)
        error_norms_B = errors_BV.norm(dim=-1)
        return error_norms_B.square(), gains_BD.norm(dim=-1) * error_norms_B


def _solve(coupling_BB: Tensor, right_BV: Tensor) -> Tensor:
    """(I + strict_tril(coupling))^-1 right."""
    solution_BV = torch.linalg.solve_triangular(coupling_BB.tril(-1), right_BV, upper=False, unitriangular=True)
    return torch.Tensor.contiguous(solution_BV)
