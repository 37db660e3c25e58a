"""The highest few of many scores, without looking at each of them twice.

Shapes: P rows of scores, X scores a row, G groups of scores that lie G apart.
"""

from __future__ import annotations

import math

import numpy as np

# Below so many scores for each one wanted the obvious way is as quick.
WORTH_GROUPS = 64


def highest(scores_PX: np.ndarray, count: int) -> np.ndarray:
    """Columns of the ``count`` highest scores of each row (all, when there are fewer), ascending.

    Which of several equal scores are taken does not depend on how many rows are asked for together.
    """
    rows, width = scores_PX.shape
    if width < WORTH_GROUPS * count:
        return _partitioned(scores_PX, count)
    # They lie in the ``count`` groups whose best are the highest, or behind the last whole group.
    size = math.isqrt(width // count)
    groups, row_P1 = width // size, np.arange(rows)[:, None]
    best_PG = scores_PX[:, : groups * size].reshape(rows, size, groups).max(axis=1)
    within = (_partitioned(best_PG, count)[:, None, :] + np.arange(0, groups * size, groups)[:, None]).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(groups * size, width), (rows, width - groups * size))
    columns = np.concatenate([within, rest], axis=1)
    return np.sort(columns[row_P1, _partitioned(scores_PX[row_P1, columns], count)], axis=1)


def below_highest(scores_n: np.ndarray, count: int) -> float:
    """A score that at least ``count`` patterns reach, hardly lower than the last of these has to be.

    Of groups that lie apart, as many reach it with their best.
    """
    groups = min(len(scores_n), WORTH_GROUPS * count)
    best_G = scores_n[: len(scores_n) // groups * groups].reshape(-1, groups).max(axis=0)
    place = max(0, groups - count)
    return float(np.partition(best_G, place)[place])


def highest_of(scores_n: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` highest scores (all, when there are fewer), ascending."""
    if len(scores_n) < WORTH_GROUPS * count:
        few_k: np.ndarray = _partitioned(scores_n[None], count)[0]
        return few_k
    high_m = np.flatnonzero(scores_n >= below_highest(scores_n, count))
    high_k: np.ndarray = high_m[_partitioned(scores_n[None, high_m], count)[0]]
    return high_k


def _partitioned(scores_PX: np.ndarray, count: int) -> np.ndarray:
    rows, width = scores_PX.shape
    if width <= count:
        return np.broadcast_to(np.arange(width), (rows, width))
    return np.sort(np.argpartition(scores_PX, width - count, axis=1)[:, width - count :], axis=1)
