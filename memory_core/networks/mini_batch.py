"""How a layered network learns one call: mini-batch by mini-batch, in place. The equations are in ``layered``.

Shapes: B pairs of one mini-batch, D key_dim, V value_dim, I inputs and O outputs of one layer, C the columns of
``gates.Coefficients``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from memory_core.errors import LearningFailed
from memory_core.networks.gates import SURPRISE_START, Coefficients, Floats, GateRule, Progress, coefficients_of
from memory_core.networks.layered_state import layer_name, momentum_name, pack_progress, unpack_progress
from memory_core.networks.layers import Pass, Shape, activate, forward_backward, predict, squared_lengths, with_one
from memory_core.networks.learned_gates import learned_parameters
from memory_core.networks.network import FastWeights

STEP_MAX: Final = 1e15


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes one paper's network of the common form."""

    shape: Shape
    base_step: float
    anneal_width: float
    mini_batch: int
    has_dual_losses: bool


class MiniBatchLearner:
    """One update call: the state in float32, stepped in place, mini-batch by mini-batch."""

    def __init__(self, recipe: Recipe, rule: GateRule) -> None:
        self._shape = recipe.shape
        self._has_dual_losses = recipe.has_dual_losses
        self._rule = rule
        self._layers: list[Tensor] = []
        self._momenta: list[Tensor] = []
        self._progress = Progress(0, SURPRISE_START)

    def unpack(self, weights: FastWeights, depth: int, *, is_copy: bool) -> None:
        """Take the tensors, or copies of them."""
        self._layers = [weights[layer_name(at)].to(torch.float32, copy=is_copy) for at in range(depth)]
        if momentum_name(0) in weights:
            self._momenta = [weights[momentum_name(at)].to(torch.float32, copy=is_copy) for at in range(depth)]
        self._progress = unpack_progress(weights)

    def pack(self, like: FastWeights) -> FastWeights:
        """The new state, in the names and types of the old one."""
        tensors = {layer_name(at): layer for at, layer in enumerate(self._layers)}
        tensors |= {momentum_name(at): momentum for at, momentum in enumerate(self._momenta)}
        weights = {name: tensor.to(like[name].dtype) for name, tensor in tensors.items()}
        return weights | pack_progress(self._progress, self._layers[0].device) | learned_parameters(like)

    def learn(self, keys_BD: Tensor, values_BV: Tensor) -> tuple[Tensor, Tensor]:
        """One mini-batch; returns the losses and the norms of the steps theta grad."""
        run = forward_backward(self._shape, self._layers, keys_BD, values_BV)
        losses_B = squared_lengths(run.errors_NV)
        gates = self._rule.gates(self._progress, _checked(losses_B), keys_BD)
        kernel_BB = run.inputs[-1] @ run.inputs[-1].T
        theta_B = torch.from_numpy(gates.step_size_B).to(losses_B) / feature_lengths(kernel_BB)
        coefficients = coefficients_of(gates)
        if self._has_dual_losses and len(losses_B) > 1:
            losses_B = self._dual_losses(run, values_BV, coefficients, theta_B)
        norms_B = theta_B * gradient_norms(run, kernel_BB)
        progress = self._progress.after(_checked(losses_B))
        _checked(norms_B)
        self._apply(run, coefficients, theta_B)
        self._progress = progress
        return losses_B, norms_B

    def _dual_losses(self, run: Pass, values_BV: Tensor, coefficients: Coefficients, theta_B: Tensor) -> Tensor:
        """||M_{t-1}(k_t) - v_t||^2 of every pair, without any M_{t-1}."""
        size = len(theta_B)
        before_BC = torch.zeros(size, size + 2).to(theta_B)
        before_BC[0, -1] = 1.0
        before_BC[1:] = torch.from_numpy(coefficients.weights_BC[:-1]).to(theta_B)
        mixing_BB = before_BC[:, :size] * theta_B
        seen_BI = run.inputs[0]
        for depth, (inputs_BI, gradients_BO) in enumerate(zip(run.inputs, run.gradients, strict=True)):
            output_BO = before_BC[:, -1:] * (seen_BI @ self._layers[depth])
            if self._momenta:
                output_BO += before_BC[:, -2:-1] * (seen_BI @ self._momenta[depth])
            output_BO -= (mixing_BB * (seen_BI @ inputs_BI.T)) @ gradients_BO
            if depth + 1 < len(self._layers):
                seen_BI = with_one(self._shape, activate(self._shape, output_BO))
        keys_BD = run.inputs[0][:, : self._shape.widths[0]]
        return (predict(self._shape, keys_BD, output_BO) - values_BV).square().sum(-1)

    def _apply(self, run: Pass, coefficients: Coefficients, theta_B: Tensor) -> None:
        """M_B and S_B, one matrix product per layer and tensor."""
        size = len(theta_B)
        memory_C, momentum_C = coefficients.weights_BC[-1], coefficients.momentum_C
        memory_B = torch.from_numpy(memory_C[:size]).to(theta_B) * theta_B
        for depth, (inputs_BI, gradients_BO) in enumerate(zip(run.inputs, run.gradients, strict=True)):
            layer_IO = self._layers[depth]
            if memory_C[-1] != 1.0:
                layer_IO *= memory_C[-1]
            if self._momenta:
                momentum_B = torch.from_numpy(momentum_C[:size]).to(theta_B) * theta_B
                layer_IO.add_(self._momenta[depth], alpha=memory_C[-2])
                self._momenta[depth].addmm_(
                    inputs_BI.T, gradients_BO * momentum_B[:, None], beta=momentum_C[-2], alpha=-1
                )
            layer_IO.addmm_(inputs_BI.T, gradients_BO * memory_B[:, None], alpha=-1)


def feature_lengths(kernel_BB: Tensor) -> Tensor:
    """What theta is divided by: |x|^2 of the last layer's inputs, times how often the mini-batch repeats the pair.

    With K_ij = x_i . x_j it is sum_j K_ij^2 / K_ii: K_ii for unrelated pairs, B K_ii for B copies.
    """
    return kernel_BB.square().sum(-1) / kernel_BB.diagonal()


def gradient_norms(run: Pass, kernel_BB: Tensor) -> Tensor:
    """Frobenius norm of each pair's gradient over all layers; ``kernel_BB`` holds the last layer's x_i . x_j."""
    squares = [*(squared_lengths(inputs_BI) for inputs_BI in run.inputs[:-1]), kernel_BB.diagonal()]
    total_B = torch.zeros_like(squares[-1])
    for square_B, gradients_BO in zip(squares, run.gradients, strict=True):
        total_B.addcmul_(square_B, squared_lengths(gradients_BO))
    return total_B.sqrt_()


def _checked(numbers_B: Tensor) -> Floats:
    """As float64 on the CPU. Before anything is written: finite weights plus steps shorter than this stay finite."""
    numbers = numbers_B.cpu().numpy().astype(np.float64)
    if not (numbers < STEP_MAX).all():
        raise LearningFailed(
            "A step is not a finite number; nothing was learned.", hint="Learn with a smaller learning rate."
        )
    return numbers
