"""The three gates of Titans, per pair: step_size theta, momentum_decay eta, forget_gate alpha.

In the papers the gates are learned functions of the input. Here they may be, and otherwise they are functions of what
a memory has at hand when it writes: how many pairs it has learned and how surprising this one is.

* ``constant``: theta, eta and alpha are the settings.
* ``annealed``: theta / (1 + n / w) after n pairs, w about the width of the features: the step that keeps old and new
  pairs alike (a running mean); measured to be worth more than any change of architecture.
* ``surprise``: annealed, and rho = l / (l + mean l) scales the step: theta min(1, 2 rho). Past surprise is carried
  less (eta (1 - rho)) where the stream turns, and more is forgotten (alpha rho) where much is new.
* ``learned``: functions of the key, n and rho whose parameters the memory learns in its sleep (``learned_gates``).

Shapes: B pairs of one mini-batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from memory_core.config import GateKind
from memory_core.networks.learned_gates import gate_features, gate_values

Floats = NDArray[np.float64]

SURPRISE_DECAY: Final = 0.98
SURPRISE_START: Final = 1.0
TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Gates:
    """One value of each gate per pair."""

    step_size_B: Floats
    momentum_decay_B: Floats
    forget_gate_B: Floats


@dataclass(frozen=True, slots=True)
class Progress:
    """What the gates remember between mini-batches: part of the fast weights."""

    pair_count: int
    surprise_mean: float

    def after(self, losses_B: Floats) -> Progress:
        """Count the pairs; the mean surprise moves a fiftieth of the way per pair."""
        keep = SURPRISE_DECAY ** len(losses_B)
        mean = keep * self.surprise_mean + (1 - keep) * float(losses_B.mean())
        return Progress(self.pair_count + len(losses_B), mean)


@dataclass(frozen=True, slots=True)
class GateRule:
    """The settings of the gates. Past surprise repeats a step 1 / (1 - eta) times, so theta is divided by that."""

    kind: GateKind
    step_size: float
    momentum_decay: float
    forget_gate: float
    anneal_width: float
    parameters_GF: Tensor | None = None

    @property
    def starts(self) -> tuple[float, float, float]:
        """theta, eta and alpha as they are set."""
        return self.step_size, self.momentum_decay, self.forget_gate

    def gates(self, progress: Progress, losses_B: Floats, keys_BD: Tensor) -> Gates:
        """Gates of a mini-batch from its keys and the losses at its start."""
        size = len(losses_B)
        if self.kind == "learned":
            return self._learned_gates(progress, losses_B, keys_BD)
        eta, alpha = self.momentum_decay, self.forget_gate
        theta_B = np.full(size, self.step_size * (1 - eta))
        if self.kind != "constant":
            theta_B = theta_B / (1 + (progress.pair_count + np.arange(size)) / self.anneal_width)
        if self.kind != "surprise":
            return Gates(theta_B, np.full(size, eta), np.full(size, alpha))
        rho_B = losses_B / (losses_B + progress.surprise_mean + TINY)
        return Gates(theta_B * np.minimum(1, 2 * rho_B), eta * (1 - rho_B), alpha * rho_B)

    def _learned_gates(self, progress: Progress, losses_B: Floats, keys_BD: Tensor) -> Gates:
        count, width = progress.pair_count, self.anneal_width
        losses = torch.from_numpy(losses_B).to(keys_BD.device)
        features_BF = gate_features(keys_BD, losses, count, progress.surprise_mean, width)
        if self.parameters_GF is None:
            raise ValueError("learned gates need their parameters")
        return Gates(
            *(gate.cpu().numpy() for gate in gate_values(self.parameters_GF, features_BF, self.starts, count, width))
        )


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What the gates make of a mini-batch: everything it leaves is a weighted sum of what it met.

    Columns 0..B-1 weigh the scaled gradients theta_i grad_i (with a minus), column B the momentum S_0 and column B+1
    the weights M_0. Row t of ``weights_BC`` gives M_t, ``momentum_C`` gives S_B.
    """

    weights_BC: Floats
    momentum_C: Floats


def coefficients_of(gates: Gates) -> Coefficients:
    """Unroll Titans eq. 13-14 (arXiv 2501.00663): S_t = eta_t S_{t-1} - u_t ; M_t = (1 - alpha_t) M_{t-1} + S_t."""
    size = len(gates.step_size_B)
    if not gates.momentum_decay_B.any() and not gates.forget_gate_B.any():
        return _plain_sums(size)
    weights_BC = np.zeros((size, size + 2))
    momentum_C, memory_C = np.zeros(size + 2), np.zeros(size + 2)
    momentum_C[size], memory_C[size + 1] = 1.0, 1.0
    for t, (eta, alpha) in enumerate(zip(gates.momentum_decay_B, gates.forget_gate_B, strict=True)):
        momentum_C = eta * momentum_C
        momentum_C[t] = 1.0
        memory_C = (1 - alpha) * memory_C + momentum_C
        weights_BC[t] = memory_C
    return Coefficients(weights_BC, momentum_C)


@lru_cache(maxsize=8)
def _plain_sums(size: int) -> Coefficients:
    """Without momentum and forgetting M_t is M_0 less all gradients up to t; S_0 is zero. Shared: to be read only."""
    weights_BC = np.ones((size, size + 2))
    weights_BC[:, :size] = np.tri(size)
    weights_BC[:, size] = 0.0
    momentum_C = np.zeros(size + 2)
    momentum_C[size - 1] = 1.0
    return Coefficients(weights_BC, momentum_C)
