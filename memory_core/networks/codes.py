"""Value codes: the fixed random unit vector that stands for a pattern in the fast weights.

A code is a function of the seed and the pattern's id alone, so it is never stored, and an id that is used again
never meets the traces its predecessor left in the weights. Values are codes and never the key itself: with v = k a
dense memory learns the identity and everything looks familiar.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

_BLOCK = 256


def value_codes(pattern_ids_N: np.ndarray, value_dim: int, seed: int) -> torch.Tensor:
    """Codes of the given pattern ids: float32 (N, value_dim), unit rows."""
    codes_NV = torch.empty(len(pattern_ids_N), value_dim)
    blocks_N = pattern_ids_N // _BLOCK
    for block in np.unique(blocks_N):
        chosen = np.flatnonzero(blocks_N == block)
        codes_NV[torch.from_numpy(chosen)] = _code_block(int(block), value_dim, seed)[
            torch.from_numpy(pattern_ids_N[chosen] % _BLOCK)
        ]
    return codes_NV


@lru_cache(maxsize=64)
def _code_block(block: int, value_dim: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed((seed << 32) + 2 * block + 2)
    return torch.nn.functional.normalize(torch.randn(_BLOCK, value_dim, generator=generator), dim=-1)
