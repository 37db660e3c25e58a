"""Precision-weighted step sizes of the sparse rows: a diagonal Kalman filter over the rows' variances.

For one pair with activations a on its rows, observation noise r, drift q and step size theta:

    S = sum P a^2 ;  el = max(S / (r + S), floor) * theta
    g = P a el / S ;  P = clamp(P (1 - g a) + q, 1e-4, 1)

Shapes: B pairs, K active rows of a pair, T rows touched by the block.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from memory_core.networks.touched_rows import Floats, Ints

NOISE_R: Final = 0.2
GAIN_FLOOR: Final = 0.35
DRIFT_Q: Final = np.float32(1e-6)
VARIANCE_MIN: Final = np.float32(1e-4)
VARIANCE_MAX: Final = np.float32(1.0)


def step_gains(variance_T: Floats, slots_BK: Ints, activations_BK: Floats, step_size: float) -> Floats:
    """Write vectors g of each pair, in order; steps ``variance_T`` in place (values play no part in it)."""
    gains_BK = np.empty_like(activations_BK)
    for slots_K, activations_K, gain_K in zip(slots_BK, activations_BK, gains_BK, strict=True):
        variance_K = variance_T[slots_K]
        weighted_K = variance_K * activations_K
        total = float(weighted_K @ activations_K)
        np.multiply(weighted_K, step_size * max(total / (NOISE_R + total), GAIN_FLOOR) / total, out=gain_K)
        variance_K -= weighted_K * gain_K
        variance_K += DRIFT_Q
        np.maximum(variance_K, VARIANCE_MIN, out=variance_K)
        variance_T[slots_K] = np.minimum(variance_K, VARIANCE_MAX, out=variance_K)
    return gains_BK
