"""Precision-weighted step sizes of the sparse rows: a diagonal Kalman filter over the rows' variances.

For one pair with activations a on its rows, observation noise r, drift q and step size theta:

    S = sum P a^2 ;  el = max(S / (r + S), floor) * theta
    g = P a el / S ;  P = clamp(P (1 - g a) + q, 1e-4, 1)

Shapes: B pairs, K active rows of a pair, T rows touched by the block.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from memory_core.kernels import Floats, Ints

NOISE_R: Final = 0.2
GAIN_FLOOR: Final = 0.35
DRIFT_Q: Final = np.float32(1e-6)
VARIANCE_MIN: Final = np.float32(1e-4)
VARIANCE_MAX: Final = np.float32(1.0)


def step_gains(variance_T: Floats, slots_BK: Ints, activations_BK: Floats, step_size: float) -> Floats:
    """Write vectors g of each pair, in order; steps ``variance_T`` in place (values play no part in it)."""
    squares_BK = np.square(activations_BK)
    variance_BK = np.empty_like(squares_BK)
    step_K = np.empty_like(squares_BK[0])
    scales = []
    for slots_K, square_K, variance_K in zip(slots_BK, squares_BK, variance_BK, strict=True):
        variance_K[:] = variance_T[slots_K]
        np.multiply(variance_K, square_K, out=step_K)
        total = float(np.add.reduce(step_K))
        scales.append(step_size * max(total / (NOISE_R + total), GAIN_FLOOR) / total)
        np.multiply(step_K, variance_K, out=step_K)
        np.multiply(step_K, scales[-1], out=step_K)
        np.subtract(variance_K, step_K, out=step_K)
        np.add(step_K, DRIFT_Q, out=step_K)
        np.maximum(step_K, VARIANCE_MIN, out=step_K)
        variance_T[slots_K] = np.minimum(step_K, VARIANCE_MAX, out=step_K)
    variance_BK *= activations_BK
    variance_BK *= np.array(scales, dtype=np.float32)[:, None]
    return variance_BK
