"""What follows what: links between patterns that were learned one after the other within a session.

Each slot keeps a few successors and predecessors with counts, so the tables are fixed in size. Reading reaches the
neighbours of a pattern one and two steps away: in a dialogue the answer stands beside the words that were asked for.
Shapes: U units (as many slots at most), L links a slot and direction, k slots asked for, R neighbours reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

LINKS: Final = 4
SESSIONS_MAX: Final = 4096
TABLES: Final = {"next_UL": -1, "next_count_UL": 0, "previous_UL": -1, "previous_count_UL": 0}


class Reach(NamedTuple):
    """Neighbours: position in the slots asked for (ascending), slot reached, steps (negative: backwards), share of
    the links."""

    source_R: np.ndarray
    target_R: np.ndarray
    steps_R: np.ndarray
    share_R: np.ndarray


class Transitions:
    """Successor and predecessor links, and the last slot of each open session."""

    def __init__(self, units: int) -> None:
        # Backward links are kept behind the forward ones: one look-up walks both ways.
        self.links_2UL = np.full((2 * units, LINKS), -1, dtype=np.int32)
        self.counts_2UL = np.zeros((2 * units, LINKS), dtype=np.float32)
        self.next_UL, self.previous_UL = self.links_2UL[:units], self.links_2UL[units:]
        self.next_count_UL, self.previous_count_UL = self.counts_2UL[:units], self.counts_2UL[units:]
        # Numbers go in and out of these as Python's own, at half the cost of an array's.
        self._links = self.links_2UL.data
        self._counts = self.counts_2UL.data.cast("B").cast("f", (2 * units, LINKS))
        self.tails: dict[str, int] = {}

    def follow(self, session: str | None, slots: Sequence[int]) -> None:
        """Record that ``slots``, one at least, came next in this session (None: linked among themselves only)."""
        before = None if session is None else self.tails.pop(session, None)
        for source, target in pairwise(slots if before is None else (before, *slots)):
            self.link(source, target, 1.0)
        if session is not None:
            self.tails[session] = slots[-1]
            if len(self.tails) > SESSIONS_MAX:
                del self.tails[next(iter(self.tails))]

    def link(self, source: int, target: int, amount: float) -> None:
        """Strengthen a link in both tables; in a full row a new one takes the place of the weakest."""
        if source != target:
            self._strengthen(source, target, amount)
            self._strengthen(len(self.next_UL) + target, source, amount)

    def forget_slot(self, slot: int) -> None:
        """Drop every link of a slot that is about to stand for something else."""
        for links_UL, counts_UL in ((self.next_UL, self.next_count_UL), (self.previous_UL, self.previous_count_UL)):
            links_UL[slot], counts_UL[slot] = -1, 0.0
            pointing = links_UL == slot
            links_UL[pointing], counts_UL[pointing] = -1, 0.0
        self.tails = {session: tail for session, tail in self.tails.items() if tail != slot}

    def reach(self, slots_k: np.ndarray) -> Reach:
        """Neighbours one and two steps away in both directions."""
        k, units = len(slots_k), len(self.next_UL)
        place_2k, row_2k = np.concatenate([slots_k, slots_k + units]), np.arange(2 * k)
        row_1, place_1, share_1 = self._step(row_2k, place_2k, None)
        row_2, place_2, share_2 = self._step(row_1, place_1, share_1)
        row_R = np.concatenate([row_1, row_2])
        is_backward_R = row_R >= k
        source_R = row_R - is_backward_R * k
        order_R = np.argsort(source_R.astype(np.min_scalar_type(k)), kind="stable")
        target_R = np.concatenate([place_1, place_2]) - is_backward_R * units
        steps_R = np.where(is_backward_R, -1, 1)
        steps_R[len(row_1) :] *= 2
        share_R = np.concatenate([share_1, share_2])
        return Reach(source_R[order_R], target_R[order_R], steps_R[order_R], share_R[order_R])

    def with_neighbours(self, slots_k: np.ndarray) -> np.ndarray:
        """Slots and all that ``reach`` finds from them, ascending, each once."""
        units = len(self.next_UL)
        place_1 = self._follow(np.concatenate([slots_k, slots_k + units]))
        is_there_U = np.zeros(2 * units, dtype=bool)
        is_there_U[slots_k] = is_there_U[place_1] = is_there_U[self._follow(place_1)] = True
        return np.flatnonzero(is_there_U[:units] | is_there_U[units:])

    def _follow(self, place_k: np.ndarray) -> np.ndarray:
        """Where every link of some places leads."""
        target_kL, start_k = self.links_2UL[place_k], (place_k >= len(self.next_UL)) * len(self.next_UL)
        place_R: np.ndarray = (target_kL + start_k[:, None])[target_kL >= 0]
        return place_R

    def _strengthen(self, place: int, other: int, amount: float) -> None:
        """Strengthen one link of a place (slot, or U + slot for those backwards)."""
        links, counts, column = self._links, self._counts, 0
        if counts[place, 0] != 0.0 and links[place, 0] != other:
            known = [links[place, column] for column in range(LINKS)]
            amounts = [counts[place, column] for column in range(LINKS)]
            column = known.index(other) if other in known else amounts.index(min(amounts))
        if links[place, column] != other:
            links[place, column], counts[place, column] = other, 0.0
        counts[place, column] += amount

    def _step(
        self, row_k: np.ndarray, place_k: np.ndarray, share_k: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Follow every link of some places (slot, or U + slot when walking backwards)."""
        target_kL, share_kL = self.links_2UL[place_k], self.counts_2UL[place_k]
        per_count_k = np.maximum(share_kL @ np.ones(LINKS, dtype=np.float32), 1.0)
        share_kL *= ((1.0 if share_k is None else share_k) / per_count_k)[:, None]
        entry_R = np.flatnonzero(target_kL >= 0)
        from_R = entry_R // LINKS
        place_R = target_kL.ravel()[entry_R] + (place_k[from_R] >= len(self.next_UL)) * len(self.next_UL)
        return row_k[from_R], place_R, share_kL.ravel()[entry_R]

    def load(self, tables: dict[str, np.ndarray], tails: dict[str, int]) -> None:
        """Take stored links."""
        for name in TABLES:
            stored = tables[name]
            getattr(self, name)[: len(stored)] = stored
        self.tails = dict(tails)
