"""Fast weights that are a small multi-layer network: TTT-Linear, TTT-MLP and Titans.

A mini-batch takes its gradients at the weights it starts from and then applies them pair by pair:

    u_i = theta_i grad l(M_0; k_i)                                   Titans eq. 12 (arXiv 2501.00663), TTT eq. 4
    S_t = eta_t S_{t-1} - u_t ;  M_t = (1 - alpha_t) M_{t-1} + S_t   Titans eq. 14 and 13, in the chunk form of 16-18

All of it is linear in the gradients, so the end state is one matrix product per layer, W = a W_0 + b S_0 - X^T (c G).
For TTT's networks the losses are those of M_{t-1}, without any M_{t-1}: the dual form (arXiv 2407.04620, appendix A),
Zbar_t = a_t x_t W_0 + b_t x_t S_0 - sum_{i<t} c_ti (x_t . x_i) g_i, layer by layer. Titans' losses are those of M_0,
as its chunk form has them: the dual form would cost half as much again.

Two limits. Gradients are stale within a mini-batch, so the pairs of one call differ from as many calls: a call is cut
into mini-batches from its start. And theta is normalised: by the pair's features, and by how much the mini-batch
repeats itself, without which a repeated pair would step once per repetition.

Shapes: N pairs, D key_dim, V value_dim, B pairs of one mini-batch, I inputs and O outputs of one layer,
C the columns of ``gates.Coefficients``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from memory_core.config import MemoryConfig
from memory_core.errors import LearningFailed
from memory_core.networks.gates import SURPRISE_START, Coefficients, GateRule, Progress, coefficients_of
from memory_core.networks.layers import Pass, Shape, activate, forward, forward_backward, predict, with_one
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


class LayeredNetwork:
    """Network for ``variant="mlp"`` and ``"titans"``, and for ``"linear"`` with ``linear_rule="ttt"``."""

    def __init__(self, config: MemoryConfig, device: torch.device, recipe: Recipe) -> None:
        self.recipe = recipe
        self._config = config
        self._device = device
        self._depth = len(recipe.shape.widths) - 1
        self._has_momentum = config.momentum_decay > 0

    def initial(self) -> FastWeights:
        """Seeded random layers, no momentum. The last layer of Titans starts at zero: M(k) = 0."""
        dtype = getattr(torch, self._config.dtype)
        layers = [
            weight_IO.to(self._device, dtype) for weight_IO in _seeded_layers(self.recipe.shape, self._config.seed)
        ]
        weights = {layer_name(depth): weight_IO for depth, weight_IO in enumerate(layers)}
        if self._has_momentum:
            weights |= {momentum_name(depth): torch.zeros_like(weight) for depth, weight in enumerate(layers)}
        return weights | pack_progress(Progress(0, SURPRISE_START), self._device)

    def update(
        self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor, step_size: float
    ) -> tuple[FastWeights, Tensor, Tensor]:
        """See Network.update; the gradients of up to ``mini_batch`` pairs are taken at the same weights."""
        size = self.recipe.mini_batch
        chunk = _Chunk(self.recipe, self.gate_rule(step_size))
        # A later mini-batch may fail: the caller's weights must survive that.
        chunk.unpack(weights, self._depth, is_copy=len(keys_ND) > size)
        steps = [
            chunk.learn(keys_ND[start : start + size], values_NV[start : start + size])
            for start in range(0, len(keys_ND), size)
        ]
        losses_N, norms_N = (torch.cat(parts) for parts in zip(*steps, strict=True))
        return chunk.pack(weights), losses_N, norms_N

    def read(self, weights: FastWeights, keys_ND: Tensor) -> Tensor:
        """See Network.read."""
        _, outputs = forward(self.recipe.shape, self.layers(weights), keys_ND)
        return predict(self.recipe.shape, keys_ND, outputs[-1])

    def gate_rule(self, step_size: float) -> GateRule:
        """The gates for one call's step size."""
        config, recipe = self._config, self.recipe
        return GateRule(
            config.gates,
            step_size * recipe.base_step,
            config.momentum_decay,
            config.forget_gate,
            recipe.anneal_width,
        )

    def layers(self, weights: FastWeights) -> list[Tensor]:
        """The weight matrices in float32, first layer first."""
        return [weights[layer_name(depth)].float() for depth in range(self._depth)]

    def gradients(self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Per weight tensor (X_NI, G_NO): the gradient of pair n's loss is the outer product of their n-th rows."""
        run = forward_backward(self.recipe.shape, self.layers(weights), keys_ND, values_NV)
        factors = zip(run.inputs, run.gradients, strict=True)
        return {layer_name(depth): pair for depth, pair in enumerate(factors)}


class _Chunk:
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
        return weights | pack_progress(self._progress, self._layers[0].device)

    def learn(self, keys_BD: Tensor, values_BV: Tensor) -> tuple[Tensor, Tensor]:
        """One mini-batch; returns the losses and the norms of the steps theta grad."""
        run = forward_backward(self._shape, self._layers, keys_BD, values_BV)
        stale_B = run.errors_NV.square().sum(-1)
        _require_sane(stale_B)
        gates = self._rule.gates(self._progress, stale_B.double().cpu().numpy())
        theta_B = torch.from_numpy(gates.step_size_B).to(stale_B) / feature_lengths(run.inputs[-1])
        coefficients = coefficients_of(gates)
        is_stale = len(stale_B) > 1 and self._has_dual_losses
        losses_B = self._dual_losses(run, values_BV, coefficients, theta_B) if is_stale else stale_B
        norms_B = theta_B * gradient_norms(run)
        _require_sane(losses_B + norms_B)
        self._apply(run, coefficients, theta_B)
        self._progress = self._progress.after(losses_B.double().cpu().numpy())
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
        momentum_B = torch.from_numpy(momentum_C[:size]).to(theta_B) * theta_B
        for depth, (inputs_BI, gradients_BO) in enumerate(zip(run.inputs, run.gradients, strict=True)):
            layer_IO = self._layers[depth]
            if memory_C[-1] != 1.0:
                layer_IO *= memory_C[-1]
            if self._momenta:
                layer_IO.add_(self._momenta[depth], alpha=memory_C[-2])
                self._momenta[depth].addmm_(
                    inputs_BI.T, gradients_BO * momentum_B[:, None], beta=momentum_C[-2], alpha=-1
                )
            layer_IO.addmm_(inputs_BI.T, gradients_BO * memory_B[:, None], alpha=-1)


def feature_lengths(features_BI: Tensor) -> Tensor:
    """What theta is divided by: |x|^2 of the last layer's inputs, times how often the mini-batch repeats the pair.

    With K_ij = x_i . x_j it is sum_j K_ij^2 / K_ii: K_ii for unrelated pairs, B K_ii for B copies.
    """
    kernel_BB = features_BI @ features_BI.T
    return kernel_BB.square().sum(-1) / kernel_BB.diagonal()


def gradient_norms(run: Pass) -> Tensor:
    """Frobenius norm of each pair's gradient over all layers."""
    norm = torch.linalg.vector_norm
    norms = [norm(x, dim=-1) * norm(g, dim=-1) for x, g in zip(run.inputs, run.gradients, strict=True)]
    lengths_B: Tensor = norm(torch.stack(norms), dim=0)
    return lengths_B


def layer_name(depth: int) -> str:
    """Name of a weight matrix in FastWeights."""
    return f"weight{depth}_IO"


def momentum_name(depth: int) -> str:
    """Name of a matrix of past surprise S in FastWeights."""
    return f"momentum{depth}_IO"


def pack_progress(progress: Progress, device: torch.device) -> FastWeights:
    """Counters as tensors, so that a checkpoint resumes with the same gates."""
    return {
        "pair_count_1": torch.tensor([progress.pair_count], device=device),
        "surprise_mean_1": torch.tensor([progress.surprise_mean], dtype=torch.float64, device=device),
    }


def unpack_progress(weights: FastWeights) -> Progress:
    """Inverse of ``pack_progress``."""
    return Progress(int(weights["pair_count_1"]), float(weights["surprise_mean_1"]))


def _seeded_layers(shape: Shape, seed: int) -> list[Tensor]:
    """Outputs of unit variance for unit keys, whatever the width."""
    generator = torch.Generator().manual_seed(seed * 2 + 1)
    layers = []
    for depth, (width_in, width_out) in enumerate(zip(shape.widths[:-1], shape.widths[1:], strict=True)):
        spread = 1.0 if depth == 0 else (2.0 / width_in) ** 0.5
        weight_IO = torch.randn(width_in, width_out, generator=generator) * spread
        if shape.has_bias:
            weight_IO = torch.cat([weight_IO, torch.zeros(1, width_out)])
        layers.append(weight_IO)
    if shape.head == "plain":
        layers[-1].zero_()
    return layers


def _require_sane(numbers_B: Tensor) -> None:
    """Before anything is written: finite weights plus steps shorter than this stay finite."""
    if not bool((numbers_B < STEP_MAX).all()):
        raise LearningFailed(
            "A step is not a finite number; nothing was learned.", hint="Learn with a smaller learning rate."
        )
