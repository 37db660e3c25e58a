"""Which rows a block of pairs touches, and how its pairs meet in them.

Pairs of one block share few rows, so what one write changes in a later read is found by walking the shared rows
instead of multiplying dense (pairs x rows) matrices. Rows that many pairs share go through one small dense product.
Index work only: NumPy arrays on the CPU, whatever device the rows live on.

Shapes: B pairs, K active rows of a pair, E = B * K entries sorted by row and then by pair, T distinct rows touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SHARED_BY_MANY: Final = 24


@dataclass(frozen=True, slots=True)
class TouchedRows:
    """The entries of a block in row order: entry ``order_E[e]`` of the flattened (B, K) touches row ``row_E[e]``."""

    pair_count: int
    order_E: Ints
    pair_E: Ints
    rows_T: Ints
    starts_T: Ints
    slots_BK: Ints

    @classmethod
    def of(cls, rows_BK: Ints, row_count: int) -> TouchedRows:
        """Sort the entries; a narrow integer type makes the stable sort a radix sort."""
        flat_E = rows_BK.ravel()
        order_E = np.argsort(flat_E.astype(np.min_scalar_type(row_count - 1)), kind="stable")
        sorted_E = flat_E[order_E]
        is_first_E = np.empty(len(sorted_E), dtype=bool)
        is_first_E[0] = True
        np.not_equal(sorted_E[1:], sorted_E[:-1], out=is_first_E[1:])
        starts_T = np.flatnonzero(is_first_E)
        slots_E = np.empty(len(sorted_E), dtype=np.int64)
        slots_E[order_E] = np.cumsum(is_first_E) - 1
        return cls(
            pair_count=len(rows_BK),
            order_E=order_E,
            pair_E=order_E // rows_BK.shape[1],
            rows_T=sorted_E[starts_T],
            starts_T=starts_T,
            slots_BK=slots_E.reshape(rows_BK.shape),
        )

    def coupling(self, reads_BK: Floats, writes_BK: Floats) -> Floats:
        """Strictly lower (B, B): entry (i, j) is what reading pair i sees of a unit written at pair j < i."""
        size = self.pair_count
        reads_E, writes_E = reads_BK.ravel()[self.order_E], writes_BK.ravel()[self.order_E]
        counts_T = np.diff(self.starts_T, append=len(self.order_E))
        is_hot_T = counts_T > SHARED_BY_MANY
        cells, amounts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.float32)]
        left_T = np.where(is_hot_T, 1, counts_T)
        left_E = np.repeat(self.starts_T + left_T, counts_T) - np.arange(len(self.order_E))
        earlier = np.flatnonzero(left_E > 1)
        for lag in range(1, SHARED_BY_MANY):
            if not len(earlier):
                break
            later = earlier + lag
            cells.append(self.pair_E[later] * size + self.pair_E[earlier])
            amounts.append(reads_E[later] * writes_E[earlier])
            earlier = earlier[left_E[earlier] > lag + 1]
        sums = np.bincount(np.concatenate(cells), np.concatenate(amounts), minlength=size * size)
        return sums.reshape(size, size).astype(np.float32) + self._hot_coupling(is_hot_T, reads_BK, writes_BK)

    def _hot_coupling(self, is_hot_T: NDArray[np.bool_], reads_BK: Floats, writes_BK: Floats) -> Floats | float:
        if not is_hot_T.any():
            return 0.0
        column_T = np.cumsum(is_hot_T) - 1
        pair, place = np.nonzero(is_hot_T[self.slots_BK])
        column = column_T[self.slots_BK[pair, place]]
        dense = np.zeros((2, self.pair_count, int(is_hot_T.sum())), dtype=np.float32)
        dense[0, pair, column] = reads_BK[pair, place]
        dense[1, pair, column] = writes_BK[pair, place]
        coupling_BB: Floats = np.tril(dense[0] @ dense[1].T, -1)
        return coupling_BB
