"""Passages beside the patterns that they are compared with: by compiled loops on the CPU, plainly elsewhere.

Similarities are means over a passage's segments of the best cosine with a pattern, or with another passage.
Shapes: P passages, S segments of all of them, D key_dim, n patterns in use, k of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from memory_core import kernels
from memory_core.patterns.bank import PatternBank
from memory_core.patterns.compiled_novelty import CompiledComparison
from memory_core.patterns.near import NearFew, near_few
from memory_core.patterns.novelty import Comparison, Near
from memory_core.patterns.word_table import WordId, WordTable

AnyComparison = Comparison | CompiledComparison


def compare(
    bank: PatternBank, table: WordTable, words: Sequence[list[WordId]], sizes: Sequence[int], keys_SD: torch.Tensor
) -> AnyComparison:
    """Passages of so many segments each, compared with all patterns and with each other."""
    among_PP = _among(keys_SD, sizes) if len(sizes) > 1 else None
    if kernels.compiled is not None and keys_SD.device.type == "cpu":
        near = near_few(kernels.compiled, bank.units, keys_SD, sizes, bank.column("crowding_U"))
        return CompiledComparison(bank, table, words, sizes, near, among_PP)
    known_Pn = means(bank.units.best_per_pattern(bank.units.scores(keys_SD)), sizes)
    return Comparison(bank, table, words, sizes, Near(np.arange(bank.count), known_Pn), among_PP)


def compare_with(
    bank: PatternBank,
    table: WordTable,
    words: Sequence[list[WordId]],
    sizes: Sequence[int],
    keys_SD: torch.Tensor,
    slots_k: np.ndarray,
) -> AnyComparison:
    """Passages that are only judged, compared with some of the patterns."""
    known_Pk = means(bank.units.best_per_pattern(bank.units.scores(keys_SD))[:, slots_k], sizes)
    if kernels.compiled is not None and keys_SD.device.type == "cpu":
        near = NearFew.among(slots_k, known_Pk, bank.column("crowding_U"))
        return CompiledComparison(bank, table, words, sizes, near, None)
    return Comparison(bank, table, words, sizes, Near(slots_k, known_Pk))


def means(rows_Sx: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Of each passage the mean of its segments' rows, (P, x); most have one segment."""
    if len(rows_Sx) == len(sizes):
        return rows_Sx
    starts_P = np.cumsum([0, *sizes[:-1]])
    means_Px: np.ndarray = rows_Sx[starts_P]
    longer_m = np.flatnonzero(np.array(sizes) > 1)
    sizes_m = np.array(sizes)[longer_m]
    segments_s = np.repeat(starts_P[longer_m] - np.cumsum(sizes_m) + sizes_m, sizes_m) + np.arange(sizes_m.sum())
    mean_ms = np.repeat(np.eye(len(sizes_m), dtype=np.float32) / sizes_m.astype(np.float32), sizes_m, axis=1)
    means_Px[longer_m] = mean_ms @ rows_Sx[segments_s]
    return means_Px


def _among(keys_SD: torch.Tensor, sizes: Sequence[int]) -> np.ndarray:
    """Cosine of each passage with what each would become, (P, P)."""
    among_SS: np.ndarray = (keys_SD @ keys_SD.T).cpu().numpy()
    if len(keys_SD) == len(sizes):
        return among_SS
    return means(np.maximum.reduceat(among_SS, np.cumsum([0, *sizes[:-1]]), axis=1), sizes)
