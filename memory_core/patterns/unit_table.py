"""The hidden units: one key each, owned by the pattern it leads to.

A pattern that was learned from several sentences owns a unit for each, so that a question can meet the one sentence
that answers it (the best match of several keys, as in late interaction: ColBERT, arXiv 2004.12832).
Shapes: U units, u units ever used, D key_dim, n patterns, Q queries, S segments.
"""

from __future__ import annotations

import numpy as np
import torch

from memory_core.lazy_zeros import lazy_zeros

FREE = -1


class UnitTable:
    """Keys of all units, and which pattern slot owns each."""

    def __init__(self, units: int, key_dim: int, device: torch.device) -> None:
        self.keys_UD = lazy_zeros(units, key_dim, device=device)
        self.owner_U = np.full(units, FREE, dtype=np.int32)
        self.used = 0
        self._free: list[int] = []
        self._sorting: tuple[np.ndarray, np.ndarray] | None = None
        # While units stand in the order of their slots, slot s owns those from starts_U[s] to starts_U[s + 1].
        self._starts_U = np.zeros(units, dtype=np.int64)
        self._owners = 0
        self._is_in_order = True

    @property
    def free_count(self) -> int:
        """Units that no pattern owns."""
        return len(self.owner_U) - self.used + len(self._free)

    @property
    def keys_uD(self) -> torch.Tensor:
        """Keys of the units ever used, a view of shape (u, D)."""
        return self.keys_UD[: self.used]

    @property
    def owner_u(self) -> np.ndarray:
        """Owners of the units ever used, a view of shape (u,); FREE where there is none."""
        return self.owner_U[: self.used]

    def own(self, slot: int, keys_SD: torch.Tensor) -> None:
        """Give a slot one unit per key; there must be enough free ones."""
        reused = [self._free.pop() for _ in range(min(len(self._free), len(keys_SD)))]
        for row, unit in enumerate(reused):
            self.keys_UD[unit] = keys_SD[row]
            self.owner_U[unit] = slot
        fresh = slice(self.used, self.used + len(keys_SD) - len(reused))
        self.keys_UD[fresh] = keys_SD[len(reused) :]
        self.owner_U[fresh] = slot
        self.used = fresh.stop
        self._sorting = None
        self._is_in_order = self._is_in_order and not reused and slot == self._owners
        if self._is_in_order:
            self._starts_U[slot] = fresh.start
            self._owners += 1

    def owned(self) -> np.ndarray:
        """Numbers of the units that belong to a pattern, ascending."""
        return np.flatnonzero(self.owner_u != FREE)

    def units_of(self, slot: int) -> list[int]:
        """Units that a slot owns."""
        return np.flatnonzero(self.owner_u == slot).tolist()

    def release(self, slot: int) -> None:
        """Take back the units of a slot."""
        for unit in self.units_of(slot):
            self.owner_U[unit] = FREE
            self._free.append(unit)
        self._sorting, self._is_in_order = None, False

    def best_per_pattern(self, scores_Qu: np.ndarray) -> np.ndarray:
        """Highest score among each pattern's units: (Q, u) to (Q, n)."""
        if not self._is_in_order:
            order_w, starts_n = self._sorted()
            return _best_of_runs(scores_Qu[:, order_w], starts_n)
        if self._owners == self.used:
            return scores_Qu
        return _best_of_runs(scores_Qu, self._starts_U[: self._owners])

    def load(self, keys_uD: torch.Tensor, owner_u: np.ndarray) -> None:
        """Take stored units."""
        self.used = len(owner_u)
        self.keys_uD.copy_(keys_uD)
        self.owner_u[:] = owner_u
        self._free = np.flatnonzero(owner_u == FREE).tolist()
        self._sorting = None
        starts_n = np.flatnonzero(np.diff(owner_u, prepend=FREE))
        self._owners = len(starts_n)
        self._starts_U[: self._owners] = starts_n
        self._is_in_order = bool((owner_u[starts_n] == np.arange(self._owners)).all()) and not self._free

    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Owned units in the order of their slots, and where each slot's begin."""
        if self._sorting is None:
            order_w = np.argsort(self.owner_u, kind="stable")[len(self._free) :]
            self._sorting = (order_w, np.flatnonzero(np.diff(self.owner_u[order_w], prepend=FREE)))
        return self._sorting


def _best_of_runs(scores_Qu: np.ndarray, starts_n: np.ndarray) -> np.ndarray:
    """Highest score of each run of columns, given where the runs begin; most runs have one column."""
    best_Qn = scores_Qu.take(starts_n, axis=1)
    lengths_n = np.diff(starts_n, append=scores_Qu.shape[1])
    runs_m, place = np.flatnonzero(lengths_n > 1), 1
    while len(runs_m):
        others_Qm = scores_Qu.take(starts_n[runs_m] + place, axis=1)
        best_Qn[:, runs_m] = np.maximum(best_Qn.take(runs_m, axis=1), others_Qm)
        place += 1
        runs_m = runs_m[lengths_n[runs_m] > place]
    return best_Qn


def pool_keys(keys_SD: torch.Tensor, count: int) -> torch.Tensor:
    """At most ``count`` keys: neighbours are averaged when there are more; unit norm."""
    if len(keys_SD) <= count:
        return keys_SD
    pooled = [part.mean(0) for part in torch.tensor_split(keys_SD, count)]
    return torch.nn.functional.normalize(torch.stack(pooled), dim=-1)
