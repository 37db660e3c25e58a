"""A copy of the keys in eight bits: products of few queries with very many keys, nearly, in a fraction of the time.

A product of one query with thousands of keys is bound by memory, so a quarter of the bytes takes a third of the time.
Each key k is stored as s c, c whole numbers in [-127, 127], s = max |k| / 127 (absmax quantisation by rows, as in
LLM.int8(), arXiv 2208.07339). Whoever needs a score exactly asks for it again; ``error`` says when that is.

Shapes: U units, u units in use, D key_dim, Q queries.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from memory_core.kernels import Kernels
from memory_core.lazy_zeros import lazy_zeros

WORTH_UNITS: Final = 4096
WORTH_QUERIES: Final = 3
"""Fewer keys are in the cache as they are; more queries are bound by the processor, which is quicker in float32."""
# For what sums in float32 are off by.
SLACK: Final = 1.01


class KeyScreen:
    """Codes of the keys of one UnitTable on the CPU, made when they are first asked for."""

    def __init__(self, compiled: Kernels, units: int, key_dim: int) -> None:
        self._kernels = compiled
        self.codes_UD = lazy_zeros(units, key_dim, dtype=torch.int8, device=torch.device("cpu"))
        self.scale_U = lazy_zeros(units, device=torch.device("cpu"))
        self._coded = 0
        self._stale: set[int] = set()

    def replaced(self, unit: int) -> None:
        """The key of a unit is another one now."""
        self._stale.add(unit)

    def forget(self) -> None:
        """All keys are others now."""
        self._coded = 0
        self._stale.clear()

    def scores(self, queries_QD: torch.Tensor, keys_uD: torch.Tensor) -> np.ndarray:
        """Products of each query with each key, float32 (Q, u), off by at most ``error``."""
        codes_uD, scale_u = self.codes(keys_uD)
        scores_Qu = np.empty((len(queries_QD), len(keys_uD)), dtype=np.float32)
        self._kernels.scan_codes(queries_QD.contiguous().numpy(), codes_uD, scale_u, scores_Qu)
        return scores_Qu

    def error(self, queries_QD: torch.Tensor) -> float:
        """How far the scores of these queries can be off at most, for keys of unit length.

        Depends on the keys alone and not on those before them: a replay must find the same patterns near.
        """
        longest = max(math.sqrt(float(torch.dot(query_D, query_D))) for query_D in queries_QD)
        coding = 0.5 * float(self.scale_U[: self._coded].max()) * math.sqrt(queries_QD.shape[1])
        return SLACK * longest * coding

    def codes(self, keys_uD: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Codes of the keys and what a step of each is worth, int8 (u, D) and float32 (u,)."""
        used = len(keys_uD)
        if self._coded < used:
            self._code(slice(self._coded, used), keys_uD)
            self._coded = used
        for unit in sorted(self._stale):
            self._code(slice(unit, unit + 1), keys_uD)
        self._stale.clear()
        return self.codes_UD[:used].numpy(), self.scale_U[:used].numpy()

    def _code(self, units: slice, keys_uD: torch.Tensor) -> None:
        self._kernels.code_keys(keys_uD[units].numpy(), self.codes_UD[units].numpy(), self.scale_U[units].numpy())
