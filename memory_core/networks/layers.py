"""A small multi-layer network with its gradient in closed form: no autograd where a memory learns.

Two heads: ``plain``, M(k) = f(k) with loss ||M(k) - v||^2 (Titans eq. 12, arXiv 2501.00663), and ``residual``,
M(k) = k + LN(f(k)) with inner loss 1/2 ||M(k) - v||^2 (TTT, arXiv 2407.04620), whose layers have biases. A bias is the
last row of its weight matrix and every input ends in a one.

Shapes: N pairs, D key_dim, V value_dim, I inputs and O outputs of one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

NORM_EPSILON: Final = 1e-6
GELU_SLOPE: Final = 0.7978845608028654
GELU_CUBIC: Final = 0.044715
SILU_MEAN: Final = 0.2066
GELU_MEAN: Final = 0.2821
# A bias is shared by all keys: with an input as long as a unit key every write would disturb every other.
BIAS_INPUT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Shape:
    """Layer widths from key to value, and which of the two papers' networks they make."""

    widths: tuple[int, ...]
    activation: Literal["silu", "gelu"]
    head: Literal["plain", "residual"]

    @property
    def has_bias(self) -> bool:
        """TTT's layers have biases, Titans' have none."""
        return self.head == "residual"


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward and backward pass: per layer its inputs X and the gradient G at its outputs; dW = X^T G."""

    inputs: list[Tensor]
    gradients: list[Tensor]
    errors_NV: Tensor


def forward(shape: Shape, layers: Sequence[Tensor], keys_ND: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs (before activation) of every layer."""
    inputs, outputs = [with_one(shape, keys_ND)], []
    for depth, weight_IO in enumerate(layers):
        outputs.append(inputs[-1] @ weight_IO)
        if depth + 1 < len(layers):
            inputs.append(with_one(shape, activate(shape, outputs[-1])))
    return inputs, outputs


def predict(shape: Shape, keys_ND: Tensor, output_NV: Tensor) -> Tensor:
    """M(k) from the last layer's output."""
    return output_NV if shape.head == "plain" else keys_ND + _normalized(output_NV)[0]


def forward_backward(shape: Shape, layers: Sequence[Tensor], keys_ND: Tensor, values_NV: Tensor) -> Pass:
    """Errors M(k) - v and the closed-form gradients of each pair's inner loss."""
    inputs, outputs = forward(shape, layers, keys_ND)
    errors_NV = predict(shape, keys_ND, outputs[-1]) - values_NV
    gradient = 2 * errors_NV if shape.head == "plain" else _norm_backward(outputs[-1], errors_NV)
    gradients = [gradient]
    for weight_IO, output_NI in zip(reversed(layers[1:]), reversed(outputs[:-1]), strict=True):
        into_NI = gradients[0] @ weight_IO[: output_NI.shape[1]].T
        gradients.insert(0, into_NI.mul_(_slope(shape, output_NI)))
    return Pass(inputs, gradients, errors_NV)


def activate(shape: Shape, output_NO: Tensor) -> Tensor:
    """SiLU (Titans) or GELU in its tanh form (TTT), less its mean over a standard normal input.

    Without that offset all features point a common way, and every write disturbs every other one.
    """
    if shape.activation == "silu":
        return torch.nn.functional.silu(output_NO).sub_(SILU_MEAN)
    return torch.nn.functional.gelu(output_NO, approximate="tanh").sub_(GELU_MEAN)


def _slope(shape: Shape, z_NO: Tensor) -> Tensor:
    if shape.activation == "silu":
        s_NO = torch.sigmoid(z_NO)
        return torch.addcmul(s_NO, s_NO * z_NO, 1 - s_NO)
    t_NO = torch.tanh(GELU_SLOPE * z_NO * (1 + GELU_CUBIC * z_NO.square()))
    inner_NO = GELU_SLOPE * (1 + 3 * GELU_CUBIC * z_NO.square())
    return 0.5 * (1 + t_NO) + 0.5 * z_NO * (1 - t_NO.square()) * inner_NO


def with_one(shape: Shape, rows_NI: Tensor) -> Tensor:
    """Append the input of the bias, for networks that have one."""
    return pad(rows_NI, (0, 1), value=BIAS_INPUT) if shape.has_bias else rows_NI


def norm_gain(value_dim: int) -> float:
    """Gain of the layer norm: its outputs get the length of v - k for unrelated unit vectors, sqrt(2)."""
    return float((2 / value_dim) ** 0.5)


def _normalized(z_NV: Tensor) -> tuple[Tensor, Tensor]:
    """LN(z) with its constant gain, and the standard deviations it divided by."""
    centred_NV = z_NV - z_NV.mean(dim=-1, keepdim=True)
    deviation_N1 = (centred_NV.square().mean(dim=-1, keepdim=True) + NORM_EPSILON).sqrt()
    return centred_NV / deviation_N1 * norm_gain(z_NV.shape[-1]), deviation_N1


def _norm_backward(z_NV: Tensor, errors_NV: Tensor) -> Tensor:
    """dZ = (d go - sum(go) - xh sum(go xh)) / (d sd), with go = error * gain (TTT's fused LN + L2 backward)."""
    gain = norm_gain(z_NV.shape[-1])
    out_NV, deviation_N1 = _normalized(z_NV)
    xh_NV, go_NV = out_NV / gain, errors_NV * gain
    along_N1 = (go_NV * xh_NV).mean(dim=-1, keepdim=True)
    return (go_NV - go_NV.mean(dim=-1, keepdim=True) - xh_NV * along_N1) / deviation_N1
