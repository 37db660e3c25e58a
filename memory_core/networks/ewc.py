"""Elastic weight consolidation for dense fast weights: old knowledge holds on to the weights it needs.

Kirkpatrick et al. 2017 (arXiv 1612.00796), eq. 3: L + lambda/2 sum_i F_i (w_i - w*_i)^2, with the Fisher information
approximated by its diagonal F = E[g^2] and kept online with one anchor w* (Schwarz et al. 2018, arXiv 1805.06370):
F <- gamma F + F_new. The expectation runs over targets drawn from the memory itself, M(k) plus noise: at targets it
has learned g is zero, and the best known would be protected least. F is scaled to mean 1, so that one lambda serves
every variant. The penalty takes its own implicit step, which no lambda can make unstable:

    w <- (w + theta lambda F w*) / (1 + theta lambda F)

It trades: what protects old pairs makes room for fewer new ones. ``sparse`` needs no gradients for F: the inverse of
a row's variance is what its pairs told about it, the same curvature that the Fisher information stands for.
Shapes: N pairs, I inputs and O outputs of one layer, R rows, V value_dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import torch
from torch import Tensor

from memory_core.networks.network import FastWeights, Network

NOISE_SEED: Final = 1


@runtime_checkable
class DenseNetwork(Network, Protocol):
    """A network whose gradients have a closed form as outer products."""

    def gradients(self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Per weight tensor (X_NI, G_NO): the gradient of pair n's loss is the outer product of their n-th rows."""
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the weights were (w*) and how much each of them mattered (F): float32, by name."""

    weights: FastWeights
    fisher: FastWeights


def anchor_at(
    network: DenseNetwork, weights: FastWeights, keys_ND: Tensor, *, before: Anchor | None = None, decay: float = 1.0
) -> Anchor:
    """Anchor what ``weights`` answer to the keys; ``decay`` is gamma, the share of an earlier anchor that stays."""
    answers_NV = network.read(weights, keys_ND)
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise_NV = torch.randn(answers_NV.shape, generator=generator) / answers_NV.shape[1] ** 0.5
    values_NV = answers_NV + noise_NV.to(answers_NV)
    factors = network.gradients(weights, keys_ND, values_NV)
    fisher = {name: x_NI.square().T @ g_NO.square() for name, (x_NI, g_NO) in factors.items()}
    mean = sum(float(f_IO.sum()) for f_IO in fisher.values()) / sum(f_IO.numel() for f_IO in fisher.values())
    for name, fisher_IO in fisher.items():
        fisher_IO.div_(mean)
        if before is not None:
            fisher_IO.add_(before.fisher[name], alpha=decay)
    return Anchor({name: weights[name].float().clone() for name in fisher}, fisher)


def anchor_rows(weights: FastWeights) -> Anchor:
    """Anchor sparse rows: F of a row is the inverse of its variance, scaled to mean 1."""
    precision_R1 = weights["variance_R"].float().reciprocal()[:, None]
    return Anchor({"rows_RV": weights["rows_RV"].float().clone()}, {"rows_RV": precision_R1 / precision_R1.mean()})


def pull_back(weights: FastWeights, anchor: Anchor, penalty: float) -> FastWeights:
    """New weights after the penalty's step; ``penalty`` is theta times lambda, 0 changes nothing."""
    pulled = dict(weights)
    for name, fisher_IO in anchor.fisher.items():
        share_IO = penalty * fisher_IO
        moved_IO = (weights[name].float() + share_IO * anchor.weights[name]) / (1 + share_IO)
        pulled[name] = moved_IO.to(weights[name].dtype)
    return pulled
