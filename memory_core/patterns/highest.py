"""The highest few of many scores.

Shapes: P rows of scores, X scores a row, K of them wanted.
"""

from __future__ import annotations

import numpy as np

from memory_core import kernels


def highest(scores_PX: np.ndarray, count: int) -> np.ndarray:
    """Columns of the ``count`` highest scores of each row (all, when there are fewer), ascending; int64 (P, K).

    Which of several equal scores are taken does not depend on how many rows are asked for together.
    """
    rows, width = scores_PX.shape
    if width <= count:
        return np.broadcast_to(np.arange(width), (rows, width))
    if kernels.compiled is not None and scores_PX.dtype == np.float32:
        columns_PK = np.empty((rows, count), dtype=np.int64)
        kernels.compiled.highest_of_rows(np.ascontiguousarray(scores_PX), columns_PK)
        return columns_PK
    return np.sort(np.argpartition(scores_PX, width - count, axis=1)[:, width - count :], axis=1)


def highest_of(scores_n: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` highest scores (all, when there are fewer), ascending."""
    few_k: np.ndarray = highest(scores_n[None], count)[0]
    return few_k
