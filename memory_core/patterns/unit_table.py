"""The hidden units: one key each, owned by the pattern it leads to.

A pattern that was learned from several sentences owns a unit for each, so that a question can meet the one sentence
that answers it (the best match of several keys, as in late interaction: ColBERT, arXiv 2004.12832).
Shapes: U units, u units ever used, D key_dim, n patterns, Q queries, S segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain, repeat
from typing import Any

import numpy as np
import torch

from memory_core import kernels
from memory_core.lazy_zeros import lazy_zeros
from memory_core.patterns.key_screen import WORTH_QUERIES, WORTH_UNITS, KeyScreen

FREE = -1


class UnitTable:
    """Keys of all units, and which pattern slot owns each."""

    def __init__(self, units: int, key_dim: int, device: torch.device) -> None:
        self.keys_UD = lazy_zeros(units, key_dim, device=device)
        self.owner_U = np.full(units, FREE, dtype=np.int32)
        is_worth_it = device.type == "cpu" and units >= WORTH_UNITS
        self.screen = KeyScreen(kernels.compiled, units, key_dim) if kernels.compiled and is_worth_it else None
        self.used = 0
        self._free: list[int] = []
        self._sorting: tuple[np.ndarray, np.ndarray] | None = None
        # While units stand in the order of their slots, slot s owns those from starts_U1[s] to starts_U1[s + 1].
        self._starts_U1 = np.zeros(units + 1, dtype=np.int64)
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

    def own(self, slots: range, keys_SD: torch.Tensor, sizes: Sequence[int]) -> None:
        """Give slots in a row one unit per key, each so many as its size says; there must be enough free ones."""
        needed = keys_SD.shape[0]
        owners = list(chain.from_iterable(map(repeat, slots, sizes)))
        reused = [self._free.pop() for _ in range(min(len(self._free), needed))]
        for row, unit in enumerate(reused):
            self.replace(unit, keys_SD[row])
            self.owner_U[unit] = owners[row]
        fresh = slice(self.used, self.used + needed - len(reused))
        self.keys_UD[fresh] = keys_SD[len(reused) :] if reused else keys_SD
        self.owner_U[fresh] = owners[len(reused) :]
        self._sorting = None
        self._is_in_order = self._is_in_order and not reused and slots.start == self._owners
        if self._is_in_order:
            self._owners = slots.stop
            self._starts_U1[slots.start : slots.stop + 1] = list(accumulate(sizes, initial=self.used))
        self.used = fresh.stop

    def replace(self, unit: int, key_D: torch.Tensor) -> None:
        """Give a unit that was used before another key."""
        self.keys_UD[unit] = key_D
        if self.screen:
            self.screen.replaced(unit)

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

    def scores(self, queries_QD: torch.Tensor) -> np.ndarray:
        """Product of each query with each unit's key, (Q, u)."""
        scores_Qu: np.ndarray = (queries_QD @ self.keys_uD.T).cpu().numpy()
        return scores_Qu

    def screen_for(self, queries: int) -> KeyScreen | None:
        """What scores so many queries sooner than ``scores``, and nearly; None when nothing does."""
        return self.screen if queries <= WORTH_QUERIES and self.used >= WORTH_UNITS else None

    def screened(self, keys_SD: torch.Tensor) -> tuple[Any, ...] | None:
        """What the compiled search for the patterns near to a passage is given; None where ``scores`` is sooner."""
        screen = self.screen_for(len(keys_SD))
        if screen is None:
            return None
        order_w, starts_n1 = self.grouped()
        codes = screen.codes(self.keys_uD)
        return keys_SD.contiguous().numpy(), *codes, self.keys_uD.numpy(), starts_n1, order_w, screen.error(keys_SD)

    def scores_of(self, slots_k: np.ndarray, queries_QD: torch.Tensor) -> np.ndarray:
        """Highest score among the units of each of some patterns, (Q, k)."""
        order_w, starts_n1 = self.grouped()
        if kernels.compiled is not None and self.keys_UD.device.type == "cpu":
            found_Qk = np.empty((len(queries_QD), len(slots_k)), dtype=np.float32)
            queries, keys_uD = queries_QD.contiguous().numpy(), self.keys_uD.numpy()
            kernels.compiled.score_slots(queries, keys_uD, order_w, starts_n1, slots_k, found_Qk)
            return found_Qk
        first_k = starts_n1[slots_k]
        lengths_k = starts_n1[slots_k + 1] - first_k
        ends_k = np.cumsum(lengths_k)
        starts_k = ends_k - lengths_k
        places = np.repeat(first_k - starts_k, lengths_k) + np.arange(ends_k[-1])
        units = torch.from_numpy(places if order_w is None else order_w[places])
        scores_Qm = (queries_QD @ self.keys_UD.index_select(0, units.to(self.keys_UD.device)).T).cpu().numpy()
        best_Qk: np.ndarray = np.maximum.reduceat(scores_Qm, starts_k, axis=1)
        return best_Qk

    def best_per_pattern(self, scores_Qu: np.ndarray) -> np.ndarray:
        """Highest score among each pattern's units: (Q, u) to (Q, n)."""
        order_w, starts_n1 = self.grouped()
        if order_w is None and self._owners == self.used:
            return scores_Qu
        scores_Qw = scores_Qu if order_w is None else scores_Qu.take(order_w, axis=1)
        if kernels.compiled is None:
            plainly_Qn: np.ndarray = np.maximum.reduceat(scores_Qw, starts_n1[:-1], axis=1)
            return plainly_Qn
        best_Qn = np.empty((len(scores_Qu), len(starts_n1) - 1), dtype=np.float32)
        kernels.compiled.best_of_runs(scores_Qw, starts_n1, best_Qn)
        return best_Qn

    def load(self, keys_uD: torch.Tensor, owner_u: np.ndarray) -> None:
        """Take stored units."""
        self.used = len(owner_u)
        self.keys_uD.copy_(keys_uD)
        self.owner_u[:] = owner_u
        self._free = np.flatnonzero(owner_u == FREE).tolist()
        self._sorting = None
        if self.screen:
            self.screen.forget()
        starts_n = np.flatnonzero(np.diff(owner_u, prepend=FREE))
        self._owners = len(starts_n)
        self._starts_U1[: self._owners], self._starts_U1[self._owners] = starts_n, self.used
        self._is_in_order = bool((owner_u[starts_n] == np.arange(self._owners)).all()) and not self._free

    def grouped(self) -> tuple[np.ndarray | None, np.ndarray]:
        """Owned units in the order of their slots (None: all, as they stand); where each slot's begin, and the end."""
        if self._is_in_order:
            return None, self._starts_U1[: self._owners + 1]
        if self._sorting is None:
            order_w = np.argsort(self.owner_u, kind="stable")[len(self._free) :]
            starts_n = np.flatnonzero(np.diff(self.owner_u[order_w], prepend=FREE))
            self._sorting = (order_w, np.append(starts_n, len(order_w)))
        return self._sorting


def pool_keys(keys_SD: torch.Tensor, count: int) -> torch.Tensor:
    """At most ``count`` keys: neighbours are averaged when there are more; unit norm."""
    if keys_SD.shape[0] <= count:
        return keys_SD
    pooled = [part.mean(0) for part in torch.tensor_split(keys_SD, count)]
    return torch.nn.functional.normalize(torch.stack(pooled), dim=-1)


def mean_row(rows_Sx: np.ndarray) -> np.ndarray:
    """Mean over segments, (x,); the row itself when there is one."""
    mean_x: np.ndarray = rows_Sx[0] if len(rows_Sx) == 1 else rows_Sx.mean(axis=0)
    return mean_x
