"""What passages are near to, found by the compiled loops: a few patterns each, instead of a score for every pattern.

Of each passage the most similar patterns count, and those that come nearer to it than to any pattern they knew.
Shapes: P passages, S segments of all passages, D key_dim, C candidates, n patterns, u units in use, E entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch

from memory_core.kernels import CANDIDATES, Kernels
from memory_core.patterns.highest import highest
from memory_core.patterns.unit_table import UnitTable

NONE: Final = -1
TILE: Final = 1024
"""Patterns whose scores are made and looked at together, while they are in the cache."""


class NearFew(NamedTuple):
    """Of each passage its ``slots_PC``, highest cosine first, and all entries (passage, slot, cosine) that exceed the
    ``crowding_n`` of a pattern; the compiled loops fill these arrays."""

    slots_PC: np.ndarray
    cosine_PC: np.ndarray
    passage_E: np.ndarray
    slot_E: np.ndarray
    cosine_E: np.ndarray
    crowding_n: np.ndarray

    @classmethod
    def empty(cls, passages: int, entries: int, crowding_n: np.ndarray) -> NearFew:
        """Nothing is near yet; there is room for so many entries."""
        return cls(
            np.full((passages, CANDIDATES), NONE, dtype=np.int64),
            np.full((passages, CANDIDATES), -np.inf, dtype=np.float32),
            np.empty(entries, dtype=np.int64),
            np.empty(entries, dtype=np.int64),
            np.empty(entries, dtype=np.float32),
            crowding_n,
        )

    @classmethod
    def among(cls, slots_k: np.ndarray, cosine_Pk: np.ndarray, crowding_n: np.ndarray) -> NearFew:
        """The nearest of some patterns, given all cosines with them; no entries, as nothing is going to be learned."""
        near = cls.empty(len(cosine_Pk), 0, crowding_n)
        columns_PK = highest(cosine_Pk, CANDIDATES)
        cosine_PK = np.take_along_axis(cosine_Pk, columns_PK, axis=1)
        order_PK = np.argsort(-cosine_PK, axis=1, kind="stable")
        kept = columns_PK.shape[1]
        near.cosine_PC[:, :kept] = np.take_along_axis(cosine_PK, order_PK, axis=1)
        near.slots_PC[:, :kept] = slots_k[np.take_along_axis(columns_PK, order_PK, axis=1)]
        return near

    def cut(self, entries: int) -> NearFew:
        """Without the room behind the entries."""
        return self._replace(
            passage_E=self.passage_E[:entries], slot_E=self.slot_E[:entries], cosine_E=self.cosine_E[:entries]
        )

    def in_order(self) -> NearFew:
        """Entries passage by passage."""
        order_E = np.argsort(self.passage_E, kind="stable")
        return self._replace(
            passage_E=self.passage_E[order_E], slot_E=self.slot_E[order_E], cosine_E=self.cosine_E[order_E]
        )


def near_few(
    compiled: Kernels, units: UnitTable, keys_SD: torch.Tensor, sizes: Sequence[int], crowding_n: np.ndarray
) -> NearFew:
    """What passages of so many segments each are near to: means over segments of the best cosine with a pattern."""
    room = 64 + 8 * len(sizes)
    while True:
        near = NearFew.empty(len(sizes), room, crowding_n)
        found = _fill(compiled, units, keys_SD, sizes, near) if len(crowding_n) else 0
        if found <= room:
            near = near.cut(found)
            return near if len(sizes) == 1 else near.in_order()
        room = found


def _fill(compiled: Kernels, units: UnitTable, keys_SD: torch.Tensor, sizes: Sequence[int], near: NearFew) -> int:
    screened = units.screened(keys_SD) if len(sizes) == 1 else None
    if screened is not None:
        return compiled.near_alone(*screened, *near)
    found, queries_P1, room = 0, np.cumsum([0, *sizes]), torch.empty(0)
    for first, starts_p1, keys_tD in _tiles(units):
        size = len(keys_SD) * len(keys_tD)
        room = room if len(room) >= size else torch.empty(2 * size)
        scores_St = torch.matmul(keys_SD, keys_tD.T, out=room[:size].view(len(keys_SD), -1)).numpy()
        found = compiled.near_among(scores_St, starts_p1, queries_P1, first, found, *near)
    return found


def _tiles(units: UnitTable) -> Iterator[tuple[int, np.ndarray, torch.Tensor]]:
    """Neighbouring patterns: the first one's slot, where the units of each begin (and the end), keys of the units."""
    order_w, starts_n1 = units.grouped()
    for first in range(0, len(starts_n1) - 1, TILE):
        starts_p1 = starts_n1[first : first + TILE + 1]
        run = slice(int(starts_p1[0]), int(starts_p1[-1]))
        keys_tD = units.keys_UD[run] if order_w is None else units.keys_UD[torch.from_numpy(order_w[run])]
        yield first, starts_p1, keys_tD
