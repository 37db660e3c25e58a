"""The slow, obvious form of the sparse update, one pair at a time: what the fast form must equal.

It follows the equations in ``sparse`` line by line and exists for the tests and for readers.
"""

from __future__ import annotations

import torch

from memory_core.networks.network import FastWeights
from memory_core.networks.row_gains import DRIFT_Q, GAIN_FLOOR, NOISE_R, VARIANCE_MIN


def update_one(
    weights: FastWeights, rows_K: torch.Tensor, activations_K: torch.Tensor, value_V: torch.Tensor, step_size: float
) -> float:
    """One step in place; returns the loss ||v - M(k)||^2 before it."""
    error_V = value_V - activations_K @ weights["rows_RV"][rows_K]
    variance_K = weights["variance_R"][rows_K]
    total = (variance_K * activations_K**2).sum()
    el = max(float(total / (NOISE_R + total)), GAIN_FLOOR) * step_size
    gain_K = variance_K * activations_K * el / total
    weights["rows_RV"][rows_K] += torch.outer(gain_K, error_V)
    weights["variance_R"][rows_K] = (variance_K * (1 - gain_K * activations_K) + float(DRIFT_Q)).clamp(
        float(VARIANCE_MIN), 1.0
    )
    return float(error_V.square().sum())
