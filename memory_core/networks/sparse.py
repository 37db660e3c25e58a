"""The default fast weights: product-key rows written by the delta rule with a precision-weighted gain.

A pair touches K of R rows. Each row carries a variance P: a row that was written often moves less, which is the
diagonal Kalman form of the delta rule and plays the part of elastic weight consolidation (Sparse Memory Finetuning,
arXiv 2510.15103, motivates writing few rows; the gain is Kalman's). One step, a = sparse address of the key:

    y = W[rows]^T a ;  e = v - y                       momentary surprise, gradient of Titans eq. 12 is -2 a e^T
    W[rows] += g e^T                                   g and the step of P: see ``row_gains``

``sum(g a) = el`` exactly, so each repeat shrinks the error by 1 - el. A chunk of pairs is learned in one of two ways
that equal the single steps. Compiled, for float32 on the CPU: the steps themselves, each row fetched once. Elsewhere:
one triangular system a block (DeltaNet's UT form, arXiv 2406.06484, with write vector g beside read vector a); with
bfloat16 rows it rounds once a block, the single steps once a pair, so these are equal up to that rounding.

Shapes: N pairs, D key_dim, V value_dim, R rows, K active rows, B pairs of one block, T rows touched by a block.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from memory_core import kernels
from memory_core.config import MemoryConfig
from memory_core.errors import LearningFailed
from memory_core.kernels import Floats, Ints, Kernels
from memory_core.lazy_zeros import lazy_zeros
from memory_core.networks.network import FastWeights
from memory_core.networks.product_keys import ProductKeys
from memory_core.networks.row_gains import step_gains
from memory_core.networks.touched_rows import TouchedRows

BLOCK: Final = 256
VALUE_MAX: Final = 1e9
# Rows gathered or written at once: the slice stays in the processor's cache.
ROWS_AT_ONCE: Final = 1024


class SparseNetwork:
    """Network for ``variant="sparse"``; value_dim equals key_dim."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._addresses = ProductKeys(config, device)
        self._can_compile = device.type == "cpu" and config.dtype == "float32"

    def initial(self) -> FastWeights:
        """Zero rows with variance 1."""
        config = self._config
        return {
            "rows_RV": lazy_zeros(config.rows, config.key_dim, dtype=getattr(torch, config.dtype), device=self._device),
            "variance_R": torch.ones(config.rows, device=self._device),
        }

    def update(
        self, weights: FastWeights, keys_ND: torch.Tensor, values_NV: torch.Tensor, step_size: float
    ) -> tuple[FastWeights, torch.Tensor, torch.Tensor]:
        """See Network.update."""
        rows_NK, activations_NK = self._addresses.address_arrays(keys_ND)
        if not bool((np.add.reduce(activations_NK, axis=1) > 0).all()):
            raise LearningFailed(
                "A key is not a finite number; nothing was learned.", hint="Report the text's encoder."
            )
        if kernels.compiled is not None and self._can_compile:
            return weights, *_step_pairs(kernels.compiled, weights, rows_NK, activations_NK, values_NV, step_size)
        if len(keys_ND) > BLOCK:
            # A later block may fail: the caller's weights must survive that.
            weights = {name: tensor.clone() for name, tensor in weights.items()}
        losses, norms = [], []
        for start in range(0, len(keys_ND), BLOCK):
            block = slice(start, start + BLOCK)
            loss_B, norm_B = _update_block(weights, rows_NK[block], activations_NK[block], values_NV[block], step_size)
            losses.append(loss_B)
            norms.append(norm_B)
        return weights, torch.cat(losses), torch.cat(norms)

    def read(self, weights: FastWeights, keys_ND: torch.Tensor) -> torch.Tensor:
        """See Network.read."""
        if kernels.compiled is not None and self._can_compile:
            answers_NV = np.empty((len(keys_ND), self._config.key_dim), dtype=np.float32)
            addresses = self._addresses.address_arrays(keys_ND)
            kernels.compiled.read_pairs(weights["rows_RV"].numpy(), *addresses, answers_NV)
            return torch.from_numpy(answers_NV)
        return _read(weights["rows_RV"], *self._addresses.address(keys_ND))


def _step_pairs(
    compiled: Kernels,
    weights: FastWeights,
    rows_NK: Ints,
    activations_NK: Floats,
    values_NV: torch.Tensor,
    step_size: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Before the first step all numbers are looked at: finite weights plus steps towards such values stay finite."""
    if not float(values_NV.abs().max()) < VALUE_MAX or not 0.0 <= step_size <= 1.0:
        raise _not_finite()
    losses_N, norms_N = np.empty((2, len(rows_NK)), dtype=np.float32)
    table_RV, variance_R = weights["rows_RV"].numpy(), weights["variance_R"].numpy()
    done = compiled.step_pairs(
        table_RV, variance_R, rows_NK, activations_NK, values_NV.contiguous().numpy(), losses_N, norms_N, step_size
    )
    if done < len(rows_NK):
        raise _not_finite()
    return torch.from_numpy(losses_N), torch.from_numpy(norms_N)


def _update_block(
    weights: FastWeights, rows_BK: Ints, activations_BK: Floats, values_BV: torch.Tensor, step_size: float
) -> tuple[torch.Tensor, torch.Tensor]:
    table_RV, variance_R, device = weights["rows_RV"], weights["variance_R"], values_BV.device
    touched = TouchedRows.of(rows_BK, len(table_RV))
    rows_T = torch.from_numpy(touched.rows_T).to(device)
    variance_T = variance_R[rows_T].cpu()
    gains_BK = step_gains(variance_T.numpy(), touched.slots_BK, activations_BK, step_size)
    reads_BK = torch.from_numpy(activations_BK).to(device)
    if table_RV.dtype == torch.float32:
        answers_BV = _read(table_RV, torch.from_numpy(rows_BK).to(device), reads_BK)
    else:
        answers_BV = _read(table_RV[rows_T].float(), torch.from_numpy(touched.slots_BK).to(device), reads_BK)
    errors_BV = torch.linalg.solve_triangular(
        torch.from_numpy(touched.coupling(activations_BK, gains_BK)).to(device),
        values_BV - answers_BV,
        upper=False,
        unitriangular=True,
    ).contiguous()
    error_norms_B = torch.linalg.vector_norm(errors_BV, dim=-1)
    losses_B = error_norms_B.square()
    norms_B = torch.linalg.vector_norm(torch.from_numpy(gains_BK), dim=-1).to(device) * error_norms_B
    if not bool(torch.isfinite(losses_B + norms_B).all()):
        raise _not_finite()
    _write(table_RV, touched, gains_BK, errors_BV)
    variance_R[rows_T] = variance_T.to(device)
    return losses_B, norms_B


def _not_finite() -> LearningFailed:
    return LearningFailed("A step is not a finite number; nothing was learned.", hint="Report the text's encoder.")


def _read(table_RV: torch.Tensor, rows_NK: torch.Tensor, activations_NK: torch.Tensor) -> torch.Tensor:
    if table_RV.dtype == torch.float32:
        bags_N = torch.arange(0, rows_NK.numel(), rows_NK.shape[1], device=rows_NK.device)
        answers_NV: torch.Tensor = torch.embedding_bag(
            table_RV, rows_NK.reshape(-1), bags_N, per_sample_weights=activations_NK.reshape(-1)
        )[0]
        return answers_NV
    pairs = max(1, ROWS_AT_ONCE // rows_NK.shape[1])
    slices = [slice(start, start + pairs) for start in range(0, len(rows_NK), pairs)]
    return torch.cat(
        [torch.einsum("nk,nkv->nv", activations_NK[part], table_RV[rows_NK[part]].float()) for part in slices]
    )


def _write(table_RV: torch.Tensor, touched: TouchedRows, gains_BK: Floats, errors_BV: torch.Tensor) -> None:
    device = errors_BV.device
    gains_E = torch.from_numpy(gains_BK.ravel()[touched.order_E]).to(device)
    pair_E, starts_T = torch.from_numpy(touched.pair_E).to(device), touched.starts_T
    rows_T = torch.from_numpy(touched.rows_T).to(device)
    for first in range(0, len(starts_T), ROWS_AT_ONCE):
        last = min(first + ROWS_AT_ONCE, len(starts_T))
        entries = slice(int(starts_T[first]), int(starts_T[last]) if last < len(starts_T) else None)
        bags = torch.from_numpy(starts_T[first:last] - starts_T[first]).to(device)
        delta_TV = embedding_bag(pair_E[entries], errors_BV, bags, per_sample_weights=gains_E[entries], mode="sum")
        table_RV.index_add_(0, rows_T[first:last], delta_TV.to(table_RV.dtype))
