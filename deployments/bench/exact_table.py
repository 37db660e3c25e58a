"""The baseline of every capacity claim: keys and values stored as they are, in bf16, and scanned.

Shapes: N pairs, R rows, D key_dim (values have the same size).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from memory_core.networks.network import FastWeights

TABLE_BYTES: Final = 24 << 20


class ExactTable:
    """A Network by its methods; a full table replaces the oldest pair."""

    def __init__(self, key_dim: int, device: torch.device, capacity: int | None = None) -> None:
        self._shape, self._device = (capacity or TABLE_BYTES // (2 * key_dim * 2), key_dim), device

    def initial(self) -> FastWeights:
        """An empty table."""
        keys_RD = torch.zeros(self._shape, dtype=torch.bfloat16, device=self._device)
        return {"keys_RD": keys_RD, "values_RD": keys_RD.clone(), "count_1": torch.zeros(1, dtype=torch.int64)}

    def update(
        self, weights: FastWeights, keys_ND: Tensor, values_NV: Tensor, step_size: float
    ) -> tuple[FastWeights, Tensor, Tensor]:
        """Store each pair; nothing is learned, so there is no loss."""
        rows_N = (int(weights["count_1"]) + torch.arange(len(keys_ND))) % self._shape[0]
        weights["keys_RD"][rows_N] = keys_ND.bfloat16()
        weights["values_RD"][rows_N] = values_NV.bfloat16()
        weights["count_1"] += len(keys_ND)
        return weights, torch.zeros(len(keys_ND)), torch.full((len(keys_ND),), step_size)

    def read(self, weights: FastWeights, keys_ND: Tensor) -> Tensor:
        """The value of the nearest key."""
        nearest_N = (keys_ND.bfloat16() @ weights["keys_RD"].T).argmax(dim=-1)
        return weights["values_RD"][nearest_N].float()
