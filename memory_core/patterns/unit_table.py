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
        self._grouping: tuple[np.ndarray | None, np.ndarray] | None = None
        # Unit u belongs to slot u and no slot has a second one, so scores of units are scores of patterns.
        self._is_one_each = True

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
        is_one_each = self._is_one_each and not reused and slot == self.used and len(keys_SD) == 1
        self.keys_UD[fresh] = keys_SD[len(reused) :]
        self.owner_U[fresh] = slot
        self.used = fresh.stop
        self._changed(is_one_each=is_one_each)

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
        self._changed(is_one_each=False)

    def best_per_pattern(self, scores_Qu: np.ndarray) -> np.ndarray:
        """Highest score among each pattern's units: (Q, u) to (Q, n)."""
        if self._is_one_each:
            return scores_Qu
        order, starts_n = self._groups()
        grouped_Qu = scores_Qu if order is None else scores_Qu[:, order]
        return np.maximum.reduceat(grouped_Qu, starts_n, axis=1) if len(starts_n) else scores_Qu[:, :0]

    def load(self, keys_uD: torch.Tensor, owner_u: np.ndarray) -> None:
        """Take stored units."""
        self.used = len(owner_u)
        self.keys_uD.copy_(keys_uD)
        self.owner_u[:] = owner_u
        self._free = np.flatnonzero(owner_u == FREE).tolist()
        self._changed(is_one_each=bool((owner_u == np.arange(len(owner_u))).all()))

    def _changed(self, *, is_one_each: bool) -> None:
        self._grouping = None
        self._is_one_each = is_one_each

    def _groups(self) -> tuple[np.ndarray | None, np.ndarray]:
        if self._grouping is None:
            owner_u = self.owner_u
            order = (
                None if not self._free and bool((np.diff(owner_u) >= 0).all()) else np.argsort(owner_u, kind="stable")
            )
            sorted_u = owner_u if order is None else owner_u[order]
            if order is not None:
                order = order[len(self._free) :]
                sorted_u = owner_u[order]
            starts_n = np.flatnonzero(np.diff(sorted_u, prepend=-2))
            self._grouping = (order, starts_n)
        return self._grouping


def pool_keys(keys_SD: torch.Tensor, count: int) -> torch.Tensor:
    """At most ``count`` keys: neighbours are averaged when there are more; unit norm."""
    if len(keys_SD) <= count:
        return keys_SD
    pooled = [part.mean(0) for part in torch.tensor_split(keys_SD, count)]
    return torch.nn.functional.normalize(torch.stack(pooled), dim=-1)
