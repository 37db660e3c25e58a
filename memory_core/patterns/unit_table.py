"""The hidden units: one key each, owned by the pattern it leads to.

A pattern that was learned from several sentences owns a unit for each, so that a question can meet the one sentence
that answers it (the best match of several keys, as in late interaction: ColBERT, arXiv 2004.12832).
Shapes: U units, u units ever used, D key_dim, n patterns, Q queries, S segments.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        self._runs: _Runs | None = None
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
        needed = keys_SD.shape[0]
        reused = [self._free.pop() for _ in range(min(len(self._free), needed))]
        for row, unit in enumerate(reused):
            self.keys_UD[unit] = keys_SD[row]
            self.owner_U[unit] = slot
        fresh = slice(self.used, self.used + needed - len(reused))
        self.keys_UD[fresh] = keys_SD[len(reused) :] if reused else keys_SD
        self.owner_U[fresh] = slot
        self.used = fresh.stop
        self._sorting = None
        self._is_in_order = self._is_in_order and not reused and slot == self._owners
        if self._is_in_order:
            self._starts_U[slot] = fresh.start
            self._owners += 1
            if needed > 1:
                self._runs = None

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
        if self._is_in_order:
            if self._owners == self.used:
                return scores_Qu
            starts_n = self._starts_U[: self._owners]
            self._runs = self._runs or _Runs.of(starts_n, self.used)
            return self._runs.best(scores_Qu, starts_n)
        order_w, starts_n = self._sorted()
        return _Runs.of(starts_n, len(order_w)).best(scores_Qu[:, order_w], starts_n)

    def load(self, keys_uD: torch.Tensor, owner_u: np.ndarray) -> None:
        """Take stored units."""
        self.used = len(owner_u)
        self.keys_uD.copy_(keys_uD)
        self.owner_u[:] = owner_u
        self._free = np.flatnonzero(owner_u == FREE).tolist()
        self._sorting = self._runs = None
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


@dataclass(frozen=True, slots=True)
class _Runs:
    """Which patterns own more than one unit, given where the run of each begins: those with a second, a third, ..."""

    with_another: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, starts_n: np.ndarray, used: int) -> _Runs:
        lengths_n = np.diff(starts_n, append=used)
        longest = int(lengths_n.max(initial=1))
        return cls(tuple(np.flatnonzero(lengths_n > place) for place in range(1, longest)))

    def best(self, scores_Qu: np.ndarray, starts_n: np.ndarray) -> np.ndarray:
        """Highest score of each run of columns, (Q, n)."""
        # With "clip" NumPy does not look for places out of bounds, of which there are none: a third of the time.
        best_Qn = scores_Qu.take(starts_n, axis=1, mode="clip")
        for place, slots_m in enumerate(self.with_another, start=1):
            others_Qm = scores_Qu.take(starts_n[slots_m] + place, axis=1, mode="clip")
            best_Qn[:, slots_m] = np.maximum(best_Qn.take(slots_m, axis=1, mode="clip"), others_Qm)
        return best_Qn


def pool_keys(keys_SD: torch.Tensor, count: int) -> torch.Tensor:
    """At most ``count`` keys: neighbours are averaged when there are more; unit norm."""
    if keys_SD.shape[0] <= count:
        return keys_SD
    pooled = [part.mean(0) for part in torch.tensor_split(keys_SD, count)]
    return torch.nn.functional.normalize(torch.stack(pooled), dim=-1)
