"""Gates as learned functions of the input: TTT's eta(x) = eta_base sigmoid(theta_lr . x), for all gates of Titans.

    theta_t = theta_base sigmoid(log(w / (n + 1)) + p_theta . x_t)     step size; p = 0 anneals it
    eta_t   = sigmoid(logit(eta) + p_eta . x_t)                        momentum decay
    alpha_t = sigmoid(logit(alpha) + p_alpha . x_t)                    forget gate

x_t holds 1, log(1 + n/w), how surprising the pair is (rho - 1/2) and its key. A gate whose setting is 0 stays 0. Every
parameter is in [-4, 4] and every logit in [-30, 30], so a step is never longer than that of constant gates. What is
learned and how: ``gate_learning``.
Shapes: B pairs of one mini-batch, D key_dim, F = D + 3 features, G = 3 gates.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from memory_core.networks.network import FastWeights

PARAMETERS: Final = "gate_parameters_GF"
PARAMETER_MAX: Final = 4.0
LOGIT_MAX: Final = 30.0
GATES: Final = 3
_PLAIN_FEATURES: Final = 3


def initial_parameters(key_dim: int, device: torch.device) -> FastWeights:
    """Gates that have learned nothing: annealed, with constant decay and forgetting."""
    return {PARAMETERS: torch.zeros(GATES, key_dim + _PLAIN_FEATURES, device=device)}


def learned_parameters(weights: FastWeights) -> FastWeights:
    """Those of some fast weights; empty where gates are not learned."""
    return {PARAMETERS: weights[PARAMETERS]} if PARAMETERS in weights else {}


def gate_features(keys_BD: Tensor, losses_B: Tensor, pair_count: int, surprise_mean: float, width: float) -> Tensor:
    """x of every pair, float64 (B, F)."""
    count_B = pair_count + torch.arange(len(keys_BD), dtype=torch.float64, device=keys_BD.device)
    losses_B = losses_B.double()
    rho_B = losses_B / (losses_B + surprise_mean + 1e-12)
    plain_B3 = torch.stack([torch.ones_like(count_B), torch.log1p(count_B / width), rho_B - 0.5], dim=1)
    return torch.cat([plain_B3, keys_BD.double()], dim=1)


def gate_values(
    parameters_GF: Tensor, features_BF: Tensor, starts: tuple[float, float, float], pair_count: int, width: float
) -> tuple[Tensor, Tensor, Tensor]:
    """theta, eta and alpha of every pair, float64 (B,); ``starts``: their settings, 0 where a gate is not used."""
    moves_BG = features_BF.double() @ parameters_GF.double().T
    count_B = pair_count + 1 + torch.arange(len(features_BF), dtype=torch.float64, device=features_BF.device)
    annealed_B = math.log(width) - torch.log(count_B)
    theta_B = starts[0] * _squashed(annealed_B + moves_BG[:, 0])
    eta_B, alpha_B = (
        _squashed(math.log(start / (1 - start)) + moves_BG[:, gate])
        if 0 < start < 1
        else torch.full_like(theta_B, start)
        for gate, start in enumerate(starts[1:], start=1)
    )
    return theta_B * (1 - eta_B), eta_B, alpha_B


def _squashed(logits_B: Tensor) -> Tensor:
    return torch.sigmoid(logits_B.clamp(-LOGIT_MAX, LOGIT_MAX))
