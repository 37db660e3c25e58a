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

from memory_core import kernels

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


def answer(shape: Shape, layers: Sequence[Tensor], keys_ND: Tensor) -> Tensor:
    """M(k)."""
    rows_NI = with_one(shape, keys_ND)
    for weight_IO in layers[:-1]:
        rows_NI = with_one(shape, activate(shape, rows_NI @ weight_IO))
    return predict(shape, keys_ND, rows_NI @ layers[-1])


def predict(shape: Shape, keys_ND: Tensor, output_NV: Tensor) -> Tensor:
    """M(k) from the last layer's output."""
    return output_NV if shape.head == "plain" else keys_ND + _normalized(output_NV)[0]


def forward_backward(shape: Shape, layers: Sequence[Tensor], keys_ND: Tensor, values_NV: Tensor) -> Pass:
    """Errors M(k) - v and the closed-form gradients of each pair's inner loss."""
    inputs, slopes = [with_one(shape, keys_ND)], []
    for weight_IO in layers[:-1]:
        active_NO, slope_NO = _active_and_slope(shape, inputs[-1] @ weight_IO)
        inputs.append(with_one(shape, active_NO))
        slopes.append(slope_NO)
    output_NV = inputs[-1] @ layers[-1]
    errors_NV = predict(shape, keys_ND, output_NV) - values_NV
    gradients = [2 * errors_NV if shape.head == "plain" else _norm_backward(output_NV, errors_NV)]
    for weight_IO, slope_NI in zip(reversed(layers[1:]), reversed(slopes), strict=True):
        gradients.insert(0, (gradients[0] @ weight_IO[: slope_NI.shape[1]].T).mul_(slope_NI))
    return Pass(inputs, gradients, errors_NV)


def activate(shape: Shape, z_NO: Tensor) -> Tensor:
    """SiLU (Titans) or GELU in its tanh form (TTT), less its mean over a standard normal input.

    Without that offset all features point a common way, and every write disturbs every other one.
    """
    if shape.activation == "silu":
        return torch.nn.functional.silu(z_NO).sub_(SILU_MEAN)
    return torch.nn.functional.gelu(z_NO, approximate="tanh").sub_(GELU_MEAN)


def _active_and_slope(shape: Shape, z_NO: Tensor) -> tuple[Tensor, Tensor]:
    """The activation and its derivative, which share their costly part."""
    if shape.activation == "silu":
        if kernels.compiled is not None and z_NO.device.type == "cpu":
            active_NO, slope_NO = torch.empty_like(z_NO), torch.empty_like(z_NO)
            kernels.compiled.silu_and_slope(z_NO.numpy(), SILU_MEAN, active_NO.numpy(), slope_NO.numpy())
            return active_NO, slope_NO
        s_NO = torch.sigmoid(z_NO)
        active_NO = z_NO * s_NO
        slope_NO = torch.addcmul(s_NO, active_NO, 1 - s_NO)
        return active_NO.sub_(SILU_MEAN), slope_NO
    square_NO = z_NO.square()
    t_NO = torch.tanh(GELU_SLOPE * z_NO * (1 + GELU_CUBIC * square_NO))
    half_NO = 0.5 * (1 + t_NO)
    inner_NO = (0.5 * GELU_SLOPE) * (1 + 3 * GELU_CUBIC * square_NO)
    slope_NO = torch.addcmul(half_NO, z_NO * inner_NO, 1 - t_NO.square())
    return (z_NO * half_NO).sub_(GELU_MEAN), slope_NO


def with_one(shape: Shape, rows_NI: Tensor) -> Tensor:
    """Append the input of the bias, for networks that have one."""
    return pad(rows_NI, (0, 1), value=BIAS_INPUT) if shape.has_bias else rows_NI


def squared_lengths(rows_NI: Tensor) -> Tensor:
    """Squared Euclidean length of each row, (N,)."""
    if kernels.compiled is None or rows_NI.device.type != "cpu":
        return rows_NI.square().sum(-1)
    squares_N = torch.empty(len(rows_NI))
    kernels.compiled.squared_lengths(rows_NI.contiguous().numpy(), squares_N.numpy())
    return squares_N


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
