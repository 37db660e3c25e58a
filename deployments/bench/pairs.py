"""Random pairs whose recall can be counted: unit keys, and values from a codebook.

Shapes: N pairs, D key_dim, C codes of the codebook.
"""

from __future__ import annotations

import torch
from torch import Tensor

CODEBOOK_SIZE = 2048


class PairStream:
    """The same pairs for every network: unit keys without any order, each with one of 2,048 unit codes."""

    def __init__(self, count: int, key_dim: int, seed: int, device: torch.device, *, slope: float = 0.0) -> None:
        """``slope``: direction i of key space has deviation (1 + i)^-slope; text has about 1/2, unrelated keys 0."""
        generator = torch.Generator().manual_seed(seed)
        unit = torch.nn.functional.normalize
        self.codes_CD = unit(torch.randn(CODEBOOK_SIZE, key_dim, generator=generator), dim=-1).to(device)
        spread_D = (1.0 + torch.arange(key_dim)) ** -slope
        self.keys_ND = unit(spread_D * torch.randn(count, key_dim, generator=generator), dim=-1).to(device)
        self.code_ids_N = torch.randint(0, CODEBOOK_SIZE, (count,), generator=generator).to(device)

    def values(self, part: slice) -> Tensor:
        """Values of some pairs, shape (N, D)."""
        return self.codes_CD[self.code_ids_N[part]]

    def recall(self, answers_ND: Tensor, rows_N: Tensor) -> float:
        """Share of answers whose nearest code is the right one."""
        return float(((answers_ND @ self.codes_CD.T).argmax(dim=-1) == self.code_ids_N[rows_N]).float().mean())
