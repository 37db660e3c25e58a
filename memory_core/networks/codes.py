"""Value codes: the fixed random unit vector that stands for a pattern in the fast weights.

A code is a function of the seed and the pattern's id alone, so it is never stored, and an id is never used twice.
Values are codes and never the key itself: with v = k a dense memory learns the identity and everything looks familiar.
Entries are +-1/sqrt(V), bits of the SplitMix64 generator (Steele, Lea, Flood 2014) at counter id * words + word.

Shapes: N patterns, V value_dim, W 64-bit words of one code.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def scrambled(counters: np.ndarray) -> np.ndarray:
    """64 random bits for each counter, the same on every machine; any shape, uint64."""
    state: np.ndarray = (counters + np.uint64(1)) * _GOLDEN
    for shift, factor in _MIX:
        state = (state ^ (state >> np.uint64(shift))) * factor
    state ^= state >> np.uint64(31)
    return state


def value_codes(pattern_ids_N: np.ndarray, value_dim: int, seed: int) -> torch.Tensor:
    """Codes of the given pattern ids: float32 (N, value_dim), unit rows."""
    words = -(-value_dim // 64)
    word_W = np.arange(words).astype(np.uint64)
    counters_NW = pattern_ids_N.astype(np.uint64)[:, None] * np.uint64(words) + word_W
    bits_NW = scrambled(counters_NW + (np.uint64(seed) << np.uint64(40)))
    bits_NV = np.unpackbits(bits_NW.astype("<u8").view(np.uint8), axis=1, count=value_dim)
    return torch.from_numpy((bits_NV.astype(np.float32) * 2 - 1) / np.float32(value_dim**0.5))
