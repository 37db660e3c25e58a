"""Learning the gates from a memory's own stream: a replay from the start, each step judged by what it does to the past.

A mini-batch steps from M to M' = a M + b S - sum_i c_i theta_i x_i g_i^T (Titans eq. 13-14 unrolled, arXiv 2501.00663).
The outer loss is the mean ||M'(k) - v||^2 over a sample of everything replayed so far, this mini-batch included, so a
step that buys the newest pairs with the old ones is seen to be too long. With D = dL/dM' its derivatives are exact and
closed: dL/dc_i = -theta_i x_i^T D g_i, dL/da = <D, M>, dL/db = <D, S> (hypergradients, arXiv 1703.04782); they reach
the parameters p through the gates alone.

One step is a short view, so new parameters are not trusted: every other pair of the stream is kept out and replayed
with the old ones, the new ones and some on the way between, and the best of these stay, which may be the old ones.
Nothing else of the fast weights changes.
Shapes: N pairs, B pairs of one mini-batch, S of a sample, I inputs and O outputs of one layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from memory_core.networks.gates import Progress
from memory_core.networks.layered import LayeredNetwork
from memory_core.networks.layered_state import layer_name, momentum_name, unpack_progress
from memory_core.networks.layers import forward_backward
from memory_core.networks.learned_gates import (
    PARAMETER_MAX,
    PARAMETERS,
    gate_features,
    gate_values,
    learned_parameters,
)
from memory_core.networks.mini_batch import feature_lengths
from memory_core.networks.network import FastWeights

PAIRS_MIN: Final = 128
PAIRS_MAX: Final = 4096
PASSES: Final = 2
SAMPLE: Final = 192
RATE: Final = 0.05
PRIOR: Final = 1e-3
WAYS: Final = (0.1, 0.3, 0.6, 1.0)
_SEED: Final = 20_250_103

OnShare = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class GateLesson:
    """Mean loss of the pairs kept out after a replay, with the parameters before and the best that were learned."""

    before: float
    after: float

    @property
    def has_helped(self) -> bool:
        """Whether the learned parameters are kept; never for a number that is not finite."""
        return self.after < self.before


def learn_gates(
    network: LayeredNetwork,
    weights: FastWeights,
    keys_ND: Tensor,
    values_NV: Tensor,
    on_share: OnShare = lambda _: None,
) -> tuple[FastWeights, GateLesson]:
    """New parameters, or the old ones where the new do not help; ``weights`` stay as they are.

    The pairs come in the order in which they were learned; under 128 of them say too little. ``on_share`` is told the
    share done; what it raises ends the lesson.
    """
    old_GF = weights[PARAMETERS]
    if len(keys_ND) < PAIRS_MIN:
        return learned_parameters(weights), GateLesson(0.0, 0.0)
    keys_ND, values_NV = _thinned(keys_ND), _thinned(values_NV)
    new_GF = _Pupil(network, old_GF).study(keys_ND[::2], values_NV[::2], on_share)
    ways = [torch.lerp(old_GF, new_GF, share) for share in (0.0, *WAYS)]
    losses = [_left_over(network, way_GF, keys_ND[1::2], values_NV[1::2]) for way_GF in ways]
    best = min(range(1, len(ways)), key=lambda at: losses[at] if math.isfinite(losses[at]) else math.inf)
    lesson = GateLesson(losses[0], losses[best])
    return {PARAMETERS: ways[best] if lesson.has_helped else old_GF.clone()}, lesson


class _Pupil:
    """Parameters on their way, with Adam's moments (arXiv 1412.6980)."""

    def __init__(self, network: LayeredNetwork, start_GF: Tensor) -> None:
        self._network = network
        self._parameters_GF = start_GF.double().clone().requires_grad_()
        self._optimizer = torch.optim.Adam([self._parameters_GF], lr=RATE)
        self._generator = torch.Generator().manual_seed(_SEED)

    def study(self, keys_ND: Tensor, values_NV: Tensor, on_share: OnShare) -> Tensor:
        """Replay the pairs from the start a few times; returns the parameters, bounded, in float32."""
        size = self._network.recipe.mini_batch
        starts = range(0, len(keys_ND), size)
        for at in range(PASSES):
            weights = self._network.initial()
            for step, start in enumerate(starts):
                on_share((at + step / len(starts)) / PASSES)
                seen_S = torch.randint(0, min(start + size, len(keys_ND)), (SAMPLE,), generator=self._generator)
                seen_S = seen_S.to(keys_ND.device)
                batch = slice(start, start + size)
                weights = weights | {PARAMETERS: self._parameters_GF.detach().float()}
                before = weights
                weights, _, _ = self._network.update(
                    {name: tensor.clone() for name, tensor in weights.items()}, keys_ND[batch], values_NV[batch], 1.0
                )
                pull = _outer_gradient(self._network, weights, keys_ND[seen_S], values_NV[seen_S])
                self._improve(before, keys_ND[batch], values_NV[batch], pull)
        return self._parameters_GF.detach().float()

    def _improve(self, weights: FastWeights, keys_BD: Tensor, values_BV: Tensor, pull: Sequence[Tensor]) -> None:
        """One step of Adam down the outer loss; a derivative that is not finite is passed over."""
        self._optimizer.zero_grad()
        loss = hyper_loss(self._network, weights, self._parameters_GF, keys_BD, values_BV, pull)
        (loss + PRIOR * self._parameters_GF.square().sum()).backward()  # type: ignore[no-untyped-call]
        gradient_GF = self._parameters_GF.grad
        if gradient_GF is None or not bool(torch.isfinite(gradient_GF).all()):
            return
        self._optimizer.step()
        with torch.no_grad():
            self._parameters_GF.clamp_(-PARAMETER_MAX, PARAMETER_MAX)


def hyper_loss(
    network: LayeredNetwork,
    weights: FastWeights,
    parameters_GF: Tensor,
    keys_BD: Tensor,
    values_BV: Tensor,
    pull: Sequence[Tensor],
) -> Tensor:
    """A number whose derivative by the parameters is that of the outer loss after one mini-batch.

    ``pull``: D, the derivative of the outer loss by each weight matrix after the mini-batch.
    """
    layers = network.layers(weights)
    run = forward_backward(network.recipe.shape, layers, keys_BD, values_BV)
    progress = unpack_progress(weights)
    theta_B, eta_B, alpha_B = _gates(network, parameters_GF, keys_BD, run.errors_NV.square().sum(-1), progress)
    theta_B = theta_B / feature_lengths(run.inputs[-1] @ run.inputs[-1].T)
    keep, carry, share_B = _unrolled(eta_B, alpha_B)
    felt_B = sum(((x @ d) * g).sum(-1) for x, d, g in zip(run.inputs, pull, run.gradients, strict=True))
    loss: Tensor = -(share_B * theta_B * felt_B).sum()
    loss = loss + keep * sum((d * layer).sum() for d, layer in zip(pull, layers, strict=True))
    if momentum_name(0) in weights:
        momenta = [weights[momentum_name(at)].float() for at in range(len(layers))]
        loss = loss + carry * sum((d * momentum).sum() for d, momentum in zip(pull, momenta, strict=True))
    return loss


def _gates(
    network: LayeredNetwork, parameters_GF: Tensor, keys_BD: Tensor, losses_B: Tensor, progress: Progress
) -> tuple[Tensor, Tensor, Tensor]:
    rule = network.gate_rule(1.0, {})
    width = rule.anneal_width
    features_BF = gate_features(keys_BD, losses_B, progress.pair_count, progress.surprise_mean, width)
    return gate_values(parameters_GF, features_BF, rule.starts, progress.pair_count, width)


def _unrolled(eta_B: Tensor, alpha_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What M, S and each step weigh in M': beta_B ; eta_1 w_1 ; w_i = beta_B / beta_i + eta_{i+1} w_{i+1}."""
    keep = share = torch.ones_like(eta_B[0])
    shares = [share]
    for eta, alpha in zip(eta_B.flip(0)[:-1], alpha_B.flip(0)[:-1], strict=True):
        keep = keep * (1 - alpha)
        share = keep + eta * share
        shares.append(share)
    return keep * (1 - alpha_B[0]), eta_B[0] * share, torch.stack(shares[::-1])


def _outer_gradient(network: LayeredNetwork, weights: FastWeights, keys_SD: Tensor, values_SV: Tensor) -> list[Tensor]:
    """D of each weight matrix, of the mean loss over a sample."""
    factors = network.gradients(weights, keys_SD, values_SV)
    return [x_SI.T @ g_SO / len(keys_SD) for x_SI, g_SO in (factors[layer_name(at)] for at in range(len(factors)))]


def _left_over(network: LayeredNetwork, parameters_GF: Tensor, keys_ND: Tensor, values_NV: Tensor) -> float:
    """Mean loss of the pairs after they were learned in order with these parameters."""
    weights = network.initial() | {PARAMETERS: parameters_GF}
    weights, _, _ = network.update(weights, keys_ND, values_NV, 1.0)
    return float((network.read(weights, keys_ND) - values_NV).square().sum(-1).mean())


def _thinned(rows_ND: Tensor) -> Tensor:
    """At most ``PAIRS_MAX`` rows, evenly from first to last."""
    if len(rows_ND) <= PAIRS_MAX:
        return rows_ND
    return rows_ND[torch.linspace(0, len(rows_ND) - 1, PAIRS_MAX).long().to(rows_ND.device)]
