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

from memory_core import kernels

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
    if kernels.compiled is not None:
        codes_NV = np.empty((len(pattern_ids_N), value_dim), dtype=np.float32)
        kernels.compiled.value_codes(pattern_ids_N, seed, codes_NV)
        return torch.from_numpy(codes_NV)
    signs_NV = _bits(pattern_ids_N, value_dim, seed).astype(np.float32)
    signs_NV *= np.float32(2.0 / value_dim**0.5)
    signs_NV -= np.float32(1.0 / value_dim**0.5)
    return torch.from_numpy(signs_NV)


def code_matches(pattern_ids_N: np.ndarray, value_V: np.ndarray, seed: int) -> np.ndarray:
    """Products of a value with the codes of the given pattern ids, float32 (N,), without making the codes."""
    if kernels.compiled is not None:
        found_N = np.empty(len(pattern_ids_N), dtype=np.float32)
        kernels.compiled.code_matches(pattern_ids_N, seed, value_V, found_N)
        return found_N
    matches_N: np.ndarray = _bits(pattern_ids_N, len(value_V), seed).astype(np.float32) @ (2.0 * value_V)
    matches_N -= np.add.reduce(value_V)
    matches_N /= np.float32(len(value_V) ** 0.5)
    return matches_N


def _bits(pattern_ids_N: np.ndarray, value_dim: int, seed: int) -> np.ndarray:
    """One bit for each sign, uint8 (N, value_dim)."""
    words = -(-value_dim // 64)
    counters_NW = pattern_ids_N.astype(np.uint64)[:, None] * np.uint64(words) + np.arange(words, dtype=np.uint64)
    bits_NW = scrambled(counters_NW + (np.uint64(seed) << np.uint64(40)))
    return np.unpackbits(bits_NW.astype("<u8", copy=False).view(np.uint8), axis=1, count=value_dim)
