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
        self._links_2UL = np.full((2 * units, LINKS), -1, dtype=np.int32)
        self._counts_2UL = np.zeros((2 * units, LINKS), dtype=np.float32)
        self.next_UL, self.previous_UL = self._links_2UL[:units], self._links_2UL[units:]
        self.next_count_UL, self.previous_count_UL = self._counts_2UL[:units], self._counts_2UL[units:]
        self.tails: dict[str, int] = {}

    def follow(self, session: str | None, slots: Sequence[int]) -> None:
        """Record that ``slots`` came next, in order, in this session (None: linked among themselves only)."""
        before = [self.tails[session]] if session is not None and session in self.tails else []
        chain = [*before, *slots]
        for source, target in pairwise(chain):
            self.link(source, target, 1.0)
        if session is not None and slots:
            self.tails.pop(session, None)
            self.tails[session] = slots[-1]
            if len(self.tails) > SESSIONS_MAX:
                del self.tails[next(iter(self.tails))]

    def link(self, source: int, target: int, amount: float) -> None:
        """Strengthen a link in both tables; in a full row a new one takes the place of the weakest."""
        if source != target:
            _strengthen(self.next_UL[source], self.next_count_UL[source], target, amount)
            _strengthen(self.previous_UL[target], self.previous_count_UL[target], source, amount)

    def forget_slot(self, slot: int) -> None:
        """Drop every link of a slot that is about to stand for something else."""
        for links_UL, counts_UL in ((self.next_UL, self.next_count_UL), (self.previous_UL, self.previous_count_UL)):
            links_UL[slot], counts_UL[slot] = -1, 0.0
            pointing = links_UL == slot
            links_UL[pointing], counts_UL[pointing] = -1, 0.0
        self.tails = {session: tail for session, tail in self.tails.items() if tail != slot}

    def reach(self, slots_k: np.ndarray) -> Reach:
        """Neighbours one and two steps away in both directions."""
        k = len(slots_k)
        # Backward links are kept behind the forward ones: one look-up walks both ways.
        both = (np.tile(np.arange(k), 2), np.repeat([0, len(self.next_UL)], k) + np.tile(slots_k, 2))
        one = self._step(*both, np.ones(2 * k, dtype=np.float32))
        two = self._step(*one)
        source_R, place_R, share_R = (np.concatenate(parts) for parts in zip(one, two, strict=True))
        is_backward_R = place_R >= len(self.next_UL)
        target_R = place_R - is_backward_R * len(self.next_UL)
        steps_R = np.repeat([1, 2], [len(one[0]), len(two[0])]) * np.where(is_backward_R, -1, 1)
        order_R = np.argsort(source_R, kind="stable")
        return Reach(source_R[order_R], target_R[order_R], steps_R[order_R], share_R[order_R])

    def _step(
        self, source_k: np.ndarray, place_k: np.ndarray, share_k: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Follow every link of some places (slot, or U + slot when walking backwards)."""
        targets_kL, counts_kL = self._links_2UL[place_k], self._counts_2UL[place_k]
        per_count_k = share_k / np.maximum(counts_kL @ np.ones(LINKS, dtype=np.float32), 1.0)
        entry_R = np.flatnonzero(targets_kL.ravel() >= 0)
        row_R = entry_R // LINKS
        units = len(self.next_UL)
        place_R = targets_kL.ravel()[entry_R] + (place_k[row_R] >= units) * units
        return source_k[row_R], place_R, counts_kL.ravel()[entry_R] * per_count_k[row_R]

    def load(self, tables: dict[str, np.ndarray], tails: dict[str, int]) -> None:
        """Take stored links."""
        for name in TABLES:
            stored = tables[name]
            getattr(self, name)[: len(stored)] = stored
        self.tails = dict(tails)


def _strengthen(row_L: np.ndarray, counts_L: np.ndarray, other: int, amount: float) -> None:
    if counts_L[0] == 0.0 or row_L[0] == other:
        row_L[0] = other
        counts_L[0] += amount
        return
    known = np.flatnonzero(row_L == other)
    position = int(known[0]) if len(known) else int(counts_L.argmin())
    if not len(known):
        row_L[position], counts_L[position] = other, 0.0
    counts_L[position] += amount
