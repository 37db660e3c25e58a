"""Which rows a block of pairs touches, and how its pairs meet in them.

Pairs of one block share few rows, so what one write changes in a later read is found by walking the shared rows
instead of multiplying dense (pairs x rows) matrices. Index work only: NumPy arrays on the CPU, whatever device the
rows live on.

Shapes: B pairs, K active rows of a pair, E = B * K visits sorted by row and then by pair, T distinct rows touched,
L visits of the busiest row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memory_core.kernels import Floats, Ints


@dataclass(frozen=True, slots=True)
class TouchedRows:
    """The visits of a block in row order: visit e is entry ``order_E[e]`` of the flattened (B, K)."""

    pair_count: int
    order_E: Ints
    pair_E: Ints
    rows_T: Ints
    starts_T: Ints
    slots_BK: Ints

    @classmethod
    def of(cls, rows_BK: Ints, row_count: int) -> TouchedRows:
        """Sort the visits; a narrow integer type makes the stable sort a radix sort."""
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
        """Strictly lower (B, B): entry (i, j) is what reading pair i sees of a unit written at pair j < i.

        The m-th visits of all rows form one level; rows are ordered by visits, so that level m is a prefix of the
        levels before it and meets all of them in one product.
        """
        visits_T = np.diff(self.starts_T, append=len(self.order_E))
        busiest_T = np.argsort(-visits_T, kind="stable")
        widths_L = len(visits_T) - np.searchsorted(visits_T[busiest_T[::-1]], np.arange(visits_T.max()), side="right")
        busiest_T = busiest_T[: widths_L[1] if len(widths_L) > 1 else 0]
        reads_E, writes_E = reads_BK.ravel()[self.order_E], writes_BK.ravel()[self.order_E]
        # Earlier visits of shared rows, level by level: who wrote, and how much.
        pair_LT = np.zeros((len(widths_L), len(busiest_T)), dtype=np.int64)
        writes_LT = np.zeros(pair_LT.shape, dtype=np.float32)
        cells: list[Ints] = [np.zeros(0, dtype=np.int64)]
        amounts: list[Floats] = [np.zeros(0, dtype=np.float32)]
        for level, width in enumerate(np.minimum(widths_L, len(busiest_T))):
            visit_T = self.starts_T[busiest_T[:width]] + level
            pair_T = self.pair_E[visit_T]
            pair_LT[level, :width], writes_LT[level, :width] = pair_T, writes_E[visit_T]
            cells.append((pair_LT[:level, :width] + pair_T * self.pair_count).ravel())
            amounts.append((writes_LT[:level, :width] * reads_E[visit_T]).ravel())
        size = self.pair_count
        sums = np.bincount(np.concatenate(cells), np.concatenate(amounts), minlength=size * size)
        return sums.reshape(size, size).astype(np.float32)
