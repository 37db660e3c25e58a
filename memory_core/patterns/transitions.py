"""What follows what: links from a pattern to its successors within a session.

Each slot keeps a few successors with counts, so the table is fixed in size. Reading spreads scores along the links
in both directions. Shapes: U units, S successors a slot, n patterns in use.
"""

from __future__ import annotations

from typing import Final

import numpy as np

SUCCESSORS: Final = 4
SESSIONS_MAX: Final = 4096


class Transitions:
    """Successor links and the last slot of each open session."""

    def __init__(self, units: int) -> None:
        self.next_US = np.full((units, SUCCESSORS), -1, dtype=np.int32)
        self.count_US = np.zeros((units, SUCCESSORS), dtype=np.float32)
        self.tails: dict[str, int] = {}
        self._predecessors: dict[int, set[int]] = {}
        self._edges: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def follow(self, session: str | None, slots: list[int]) -> None:
        """Record that ``slots`` came next, in order, in this session (None: linked among themselves only)."""
        chain = [self.tails[session], *slots] if session is not None and session in self.tails else slots
        for source, target in zip(chain, chain[1:], strict=False):
            if source != target:
                self.link(source, target, 1.0)
        if session is not None and slots:
            self.tails.pop(session, None)
            self.tails[session] = slots[-1]
            if len(self.tails) > SESSIONS_MAX:
                del self.tails[next(iter(self.tails))]

    def forget_slot(self, slot: int) -> None:
        """Drop every link of a slot that is about to stand for something else."""
        for target in self.next_US[slot][self.next_US[slot] >= 0].tolist():
            self._predecessors.get(target, set()).discard(slot)
        self.next_US[slot], self.count_US[slot] = -1, 0.0
        for source in self._predecessors.pop(slot, set()):
            position = int(np.flatnonzero(self.next_US[source] == slot)[0])
            self.next_US[source, position], self.count_US[source, position] = -1, 0.0
        self.tails = {session: tail for session, tail in self.tails.items() if tail != slot}
        self._edges = None

    def spread(self, scores_n: np.ndarray, ahead: float, behind: float) -> np.ndarray:
        """One step of scores along the links: ``ahead`` x predecessors' score + ``behind`` x successors' score."""
        source_E, target_E, weight_E = self._edge_list()
        n_patterns = len(scores_n)
        forward_n = np.bincount(target_E, weights=weight_E * scores_n[source_E], minlength=n_patterns)
        backward_n = np.bincount(source_E, weights=weight_E * scores_n[target_E], minlength=n_patterns)
        return ahead * forward_n + behind * backward_n

    def clone(self) -> Transitions:
        """An independent copy."""
        copy = Transitions(0)
        copy.next_US, copy.count_US = self.next_US.copy(), self.count_US.copy()
        copy.tails = dict(self.tails)
        copy._predecessors = {target: set(sources) for target, sources in self._predecessors.items()}
        return copy

    def load(self, next_nS: np.ndarray, count_nS: np.ndarray, tails: dict[str, int]) -> None:
        """Take stored links and rebuild what is derived from them."""
        self.next_US[: len(next_nS)], self.count_US[: len(count_nS)] = next_nS, count_nS
        self.tails = dict(tails)
        for source, targets in enumerate(next_nS.tolist()):
            for target in targets:
                if target >= 0:
                    self._predecessors.setdefault(target, set()).add(source)
        self._edges = None

    def link(self, source: int, target: int, amount: float) -> None:
        """Strengthen a link; a new one takes the place of the weakest."""
        row, counts = self.next_US[source], self.count_US[source]
        known = np.flatnonzero(row == target)
        position = int(known[0]) if len(known) else int(counts.argmin())
        if not len(known):
            if row[position] >= 0:
                self._predecessors[int(row[position])].discard(source)
            row[position], counts[position] = target, 0.0
            self._predecessors.setdefault(target, set()).add(source)
        counts[position] += amount
        self._edges = None

    def _edge_list(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._edges is None:
            source_E, position_E = np.nonzero(self.next_US >= 0)
            share_US = self.count_US / np.maximum(self.count_US.sum(1, keepdims=True), 1.0)
            self._edges = (source_E, self.next_US[source_E, position_E], share_US[source_E, position_E])
        return self._edges
