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

Shapes: N pairs, D key_dim, V value_dim, I inputs and O outputs of one layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memory_core.config import MemoryConfig
from memory_core.networks.gates import SURPRISE_START, GateRule, Progress
from memory_core.networks.layered_state import layer_name, momentum_name, pack_progress
from memory_core.networks.layers import Shape, answer, forward_backward
from memory_core.networks.learned_gates import PARAMETERS, initial_parameters
from memory_core.networks.mini_batch import MiniBatchLearner, Recipe
from memory_core.networks.network import FastWeights


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
        if self.has_learned_gates:
            weights |= initial_parameters(self._config.key_dim, self._device)
        return weights | pack_progress(Progress(0, SURPRISE_START), self._device)

    def update(
        self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor, step_size: float
    ) -> tuple[FastWeights, Tensor, Tensor]:
        """See Network.update; the gradients of up to ``mini_batch`` pairs are taken at the same weights."""
        size = self.recipe.mini_batch
        chunk = MiniBatchLearner(self.recipe, self.gate_rule(step_size, weights))
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
        return answer(self.recipe.shape, self.layers(weights), keys_ND)

    @property
    def has_learned_gates(self) -> bool:
        """Whether the gates are functions of the input that are learned."""
        return self._config.gates == "learned"

    def gate_rule(self, step_size: float, weights: FastWeights) -> GateRule:
        """The gates for one call's step size; the parameters of learned ones are part of the weights."""
        config, recipe = self._config, self.recipe
        return GateRule(
            config.gates,
            step_size * recipe.base_step,
            config.momentum_decay,
            config.forget_gate,
            recipe.anneal_width,
            weights.get(PARAMETERS),
        )

    def layers(self, weights: FastWeights) -> list[Tensor]:
        """The weight matrices in float32, first layer first."""
        return [weights[layer_name(depth)].float() for depth in range(self._depth)]

    def gradients(self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Per weight tensor (X_NI, G_NO): the gradient of pair n's loss is the outer product of their n-th rows."""
        run = forward_backward(self.recipe.shape, self.layers(weights), keys_ND, values_NV)
        factors = zip(run.inputs, run.gradients, strict=True)
        return {layer_name(depth): pair for depth, pair in enumerate(factors)}


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
