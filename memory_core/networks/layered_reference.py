"""The slow, obvious form of the layered update: autograd, one pair at a time, the equations line by line.

It shares the gates and the seeded start with ``layered`` and nothing else. Gradients are taken at the weights the
mini-batch starts from, as in Titans' chunks and TTT's mini-batches; losses are measured there too, or at M_{t-1}.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, silu

from memory_core.networks.gates import GateRule, Gates
from memory_core.networks.layered import LayeredNetwork
from memory_core.networks.layered_state import layer_name, momentum_name, pack_progress, unpack_progress
from memory_core.networks.layers import BIAS_INPUT, GELU_MEAN, NORM_EPSILON, SILU_MEAN, Shape
from memory_core.networks.learned_gates import learned_parameters
from memory_core.networks.mini_batch import Recipe
from memory_core.networks.network import FastWeights


def update_one_by_one(
    network: LayeredNetwork, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor, step_size: float
) -> tuple[FastWeights, list[float]]:
    """The new state and the losses; ``weights`` stay as they are."""
    recipe, rule = network.recipe, network.gate_rule(step_size, weights)
    losses: list[float] = []
    for start in range(0, len(keys_ND), recipe.mini_batch):
        part = slice(start, start + recipe.mini_batch)
        weights, part_losses = _mini_batch(recipe, rule, weights, keys_ND[part], values_NV[part])
        losses += part_losses
    return weights, losses


def _mini_batch(
    recipe: Recipe, rule: GateRule, weights: FastWeights, keys_BD: Tensor, values_BV: Tensor
) -> tuple[FastWeights, list[float]]:
    shape, depth = recipe.shape, len(recipe.shape.widths) - 1
    start = [weights[layer_name(at)].float() for at in range(depth)]
    zeros = [torch.zeros_like(layer) for layer in start]
    momenta = [weights[momentum_name(at)].float() if momentum_name(at) in weights else zeros[at] for at in range(depth)]
    gates = _gates(shape, rule, weights, start, keys_BD, values_BV)
    layers, losses = start, []
    for t, (key_D, value_V) in enumerate(zip(keys_BD, values_BV, strict=True)):
        measured = layers if recipe.has_dual_losses else start
        losses.append(float(_answer_error(shape, measured, key_D, value_V)))
        gradients = _gradients(shape, start, key_D, value_V)
        eta, alpha, theta = gates.momentum_decay_B[t], gates.forget_gate_B[t], gates.step_size_B[t]
        momenta = [eta * s_IO - theta * g_IO for s_IO, g_IO in zip(momenta, gradients, strict=True)]
        layers = [(1 - alpha) * m_IO + s_IO for m_IO, s_IO in zip(layers, momenta, strict=True)]
    progress = unpack_progress(weights).after(torch.tensor(losses, dtype=torch.float64).numpy())
    tensors = {layer_name(at): layer for at, layer in enumerate(layers)}
    tensors |= {momentum_name(at): momentum for at, momentum in enumerate(momenta)}
    learned = {name: tensors[name].to(weights[name].dtype) for name in tensors if name in weights}
    return learned | pack_progress(progress, layers[0].device) | learned_parameters(weights), losses


def _gates(
    shape: Shape, rule: GateRule, weights: FastWeights, layers: list[Tensor], keys_BD: Tensor, values_BV: Tensor
) -> Gates:
    """The rule's gates at the stale losses; theta divided by sum_j (x_i . x_j)^2 / (x_i . x_i)."""
    stale = [float(_answer_error(shape, layers, k, v)) for k, v in zip(keys_BD, values_BV, strict=True)]
    gates = rule.gates(unpack_progress(weights), torch.tensor(stale, dtype=torch.float64).numpy(), keys_BD)
    features = [_run(shape, layers, key_D)[0] for key_D in keys_BD]
    lengths = [sum(float(x @ y) ** 2 for y in features) / float(x @ x) for x in features]
    return Gates(gates.step_size_B / lengths, gates.momentum_decay_B, gates.forget_gate_B)


def _gradients(shape: Shape, layers: list[Tensor], key_D: Tensor, value_V: Tensor) -> tuple[Tensor, ...]:
    leaves = [layer_IO.detach().requires_grad_() for layer_IO in layers]
    share = 1.0 if shape.head == "plain" else 0.5
    return torch.autograd.grad(share * _answer_error(shape, leaves, key_D, value_V), leaves)


def _answer_error(shape: Shape, layers: list[Tensor], key_D: Tensor, value_V: Tensor) -> Tensor:
    """||M(k) - v||^2, Titans eq. 12."""
    _, output_V = _run(shape, layers, key_D)
    if shape.head == "residual":
        output_V = key_D + (2 / len(value_V)) ** 0.5 * layer_norm(output_V, value_V.shape, eps=NORM_EPSILON)
    return (output_V - value_V).square().sum()


def _run(shape: Shape, layers: list[Tensor], key_D: Tensor) -> tuple[Tensor, Tensor]:
    """The last layer's input and output."""
    bias = torch.full((int(shape.has_bias),), BIAS_INPUT).to(key_D)
    input_I = torch.cat([key_D, bias])
    for layer_IO in layers[:-1]:
        output_O = input_I @ layer_IO
        is_silu = shape.activation == "silu"
        active_O = silu(output_O) - SILU_MEAN if is_silu else gelu(output_O, approximate="tanh") - GELU_MEAN
        input_I = torch.cat([active_O, bias])
    return input_I, input_I @ layers[-1]
