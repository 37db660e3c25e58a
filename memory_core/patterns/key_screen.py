"""A copy of the keys in eight bits: products of few queries with very many keys, nearly, in a fraction of the time.

A product of one query with thousands of keys is bound by memory, so a quarter of the bytes takes about a third of the
time. Each key k is stored as s c, c whole numbers in [-127, 127], s = max |k| / 127 (absmax quantisation by rows, as in
LLM.int8(), arXiv 2208.07339). Whoever needs a score exactly asks for it again; ``error`` says when that is.

Shapes: U units, u units in use, D key_dim, Q queries.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from memory_core.lazy_zeros import lazy_zeros

WORTH_UNITS: Final = 4096
WORTH_QUERIES: Final = 3
"""Fewer keys are in the cache as they are; more queries are bound by the processor, which is quicker in float32."""
CODE_MAX: Final = 127
# The queries and the answers are rounded to bfloat16, each by at most this share.
ROUNDING: Final = 2.0**-8
# For the sums in float32.
SLACK: Final = 1.01
IS_AVAILABLE: Final = torch.backends.cpu.get_cpu_capability().startswith("AVX") and hasattr(
    torch, "_weight_int8pack_mm"
)


class KeyScreen:
    """Codes of the keys of one UnitTable, made when they are first asked for."""

    def __init__(self, units: int, key_dim: int) -> None:
        self.codes_UD = lazy_zeros(units, key_dim, dtype=torch.int8, device=torch.device("cpu"))
        self.scale_U = lazy_zeros(units, dtype=torch.bfloat16, device=torch.device("cpu"))
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
        used = len(keys_uD)
        if self._coded < used:
            self._code(torch.arange(self._coded, used), keys_uD[self._coded :])
            self._coded = used
        if self._stale:
            units = torch.tensor(sorted(self._stale))
            self._code(units, keys_uD[units])
            self._stale.clear()
        nearly_Qu = torch._weight_int8pack_mm(queries_QD.bfloat16(), self.codes_UD[:used], self.scale_U[:used])
        scores_Qu: np.ndarray = nearly_Qu.float().numpy()
        return scores_Qu

    def error(self, queries_QD: torch.Tensor) -> float:
        """How far the scores of these queries can be off at most, for keys of unit length.

        Depends on the keys alone and not on those before them: a replay must find the same patterns near.
        """
        longest = max(math.sqrt(float(torch.dot(query_D, query_D))) for query_D in queries_QD)
        coding = 0.5 * float(self.scale_U[: self._coded].max()) * math.sqrt(queries_QD.shape[1])
        return SLACK * longest * (coding + 2.0 * ROUNDING * (1.0 + coding))

    def _code(self, units_N: torch.Tensor, keys_ND: torch.Tensor) -> None:
        scale_N = (keys_ND.abs().amax(1) / CODE_MAX).clamp_min(torch.finfo(torch.float32).tiny).bfloat16()
        codes_ND = (keys_ND / scale_N.float()[:, None]).round_().clamp_(-CODE_MAX, CODE_MAX)
        self.scale_U[units_N] = scale_N
        self.codes_UD[units_N] = codes_ND.to(torch.int8)
