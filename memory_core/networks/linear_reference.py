"""The slow, obvious form of the linear updates, one pair at a time: what the chunk form must equal.

It follows the equations in ``linear`` line by line and exists for the tests and for readers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memory_core.config import MemoryConfig
from memory_core.networks.linear import NOISE_R
from memory_core.networks.network import FastWeights


def update_one(config: MemoryConfig, weights: FastWeights, key_D: Tensor, value_V: Tensor, step_size: float) -> float:
    """One step in place; returns the loss ||v - M(k)||^2 before it."""
    weight_DV, count = weights["weight_DV"].float(), int(weights["pair_count_1"])
    if config.linear_rule == "recursive":
        covariance_DD = weights["covariance_DD"]
        error_V = value_V - key_D @ weight_DV
        direction_D = covariance_DD @ key_D
        gain_D = direction_D / (NOISE_R / step_size + key_D @ direction_D)
        weight_DV = weight_DV + torch.outer(gain_D, error_V)
        weights["covariance_DD"] = covariance_DD - torch.outer(gain_D, direction_D)
    else:
        kept_DV = (1 - config.forget_gate) * weight_DV
        error_V = value_V - key_D @ kept_DV
        beta = step_size / (1 + count / config.key_dim) if config.gates == "annealed" else step_size
        weight_DV = kept_DV + beta * torch.outer(key_D, error_V)
    weights["weight_DV"] = weight_DV.to(weights["weight_DV"].dtype)
    weights["pair_count_1"] += 1
    return float(error_V.square().sum())
