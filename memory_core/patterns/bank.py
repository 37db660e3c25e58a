"""What the hidden units stand for: one slot per pattern, in fixed arrays, and the units that lead to it.

Slots 0 .. count-1 are in use. A slot that is replaced gets a new pattern id, so ids are never reused.
Shapes: U units, D key_dim, n patterns in use, R of them new, S keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from memory_core.config import MemoryConfig
from memory_core.networks.codes import scrambled
from memory_core.patterns.unit_table import UnitTable, pool_keys
from memory_core.results import Exemplar

COLUMNS = {
    "pattern_id_U": np.int64,
    "born_seq_U": np.int64,
    "last_seq_U": np.int64,
    "uses_U": np.int32,
    "birth_surprise_U": np.float32,
    "crowding_U": np.float32,
    "segments_U": np.int32,
}


# The newest patterns are not given up: one in this many of all.
SPARED = 8
TINY = 1e-12


class PatternBank:
    """Keys, counters and bounded exemplar texts of every pattern."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self._config = config
        self.count = 0
        self.next_pattern_id = 0
        self.units = UnitTable(config.units, config.key_dim, device)
        self.columns = {name: np.zeros(config.units, dtype=kind) for name, kind in COLUMNS.items()}
        self.exemplars: list[tuple[Exemplar, ...]] = []

    @property
    def is_full(self) -> bool:
        """True when no unit is free: the next pattern replaces one."""
        return self.units.free_count == 0

    def column(self, name: str) -> np.ndarray:
        """One counter of the patterns in use, a view of shape (n,)."""
        return self.columns[name][: self.count]

    def pattern_id(self, slot: int) -> int:
        """The id that callers see for a slot."""
        return int(self.columns["pattern_id_U"][slot])

    def vacant_slots(self, patterns: int) -> range:
        """Slots for so many new patterns: the next ones; when full, for one pattern only, the weakest."""
        first = self.weakest_slot() if self.is_full else self.count
        return range(first, first + patterns)

    def recruit(
        self,
        slots: range,
        keys_SD: torch.Tensor,
        sizes: Sequence[int],
        exemplars: Sequence[Exemplar],
        surprises: Sequence[float],
    ) -> None:
        """Let vacant slots stand for new patterns: of each the number of its keys, all given in turn, and its text.

        There must be a unit for each key, unless there is one pattern only: then its keys are pooled.
        """
        if slots.start < self.count:
            self.units.release(slots.start)
        self.exemplars[slots.start : slots.stop] = [(exemplar,) for exemplar in exemplars]
        self.count = max(self.count, slots.stop)
        kept_SD = pool_keys(keys_SD, self.units.free_count)
        self.units.own(slots, kept_SD, sizes if len(kept_SD) == len(keys_SD) else [len(kept_SD)])
        columns = [self.columns[name] for name in COLUMNS]
        for slot, exemplar, surprise, size in zip(slots, exemplars, surprises, sizes, strict=True):
            values = (self.next_pattern_id, exemplar.seq, exemplar.seq, 1, surprise, 0.0, size)
            for column_U, value in zip(columns, values, strict=True):
                column_U[slot] = value
            self.next_pattern_id += 1

    def crowd(self, nearest_n: np.ndarray) -> None:
        """New patterns came near others: keep each pattern's cosine to its nearest neighbour."""
        crowding_n = self.column("crowding_U")
        np.maximum(crowding_n, nearest_n, out=crowding_n)

    def strengthen(self, slot: int, exemplar: Exemplar) -> None:
        """Count one more use; keep the text when it is new and there is room."""
        self.columns["uses_U"][slot] += 1
        self.columns["last_seq_U"][slot] = exemplar.seq
        self.exemplars[slot] = self.joined(self.exemplars[slot], exemplar) or self.exemplars[slot]

    def joined(self, known: tuple[Exemplar, ...], exemplar: Exemplar) -> tuple[Exemplar, ...] | None:
        """A pattern's texts with this one, once; None when it is not among them and there is no room."""
        if any(item.text == exemplar.text and item.domain == exemplar.domain for item in known):
            return known
        return (*known, exemplar) if len(known) < self._config.exemplars_per_pattern else None

    def unit_counts(self) -> np.ndarray:
        """How many units each pattern owns, shape (n,)."""
        return np.bincount(self.units.owner_u[self.units.owned()], minlength=self.count)

    def blends(self) -> np.ndarray:
        """Whether a pattern's keys are made of several texts, shape (n,) bool."""
        texts_n = np.array([len(texts) for texts in self.exemplars], dtype=np.int64)
        is_blend_n: np.ndarray = (texts_n > 1) & (self.column("segments_U") > self.unit_counts())
        return is_blend_n

    def strengths(self) -> np.ndarray:
        """How much each pattern matters: uses x recency x surprise at birth, shape (n,)."""
        newest = max(1, int(self.column("last_seq_U").max(initial=0)))
        recency_n = 0.5 + 0.5 * self.column("last_seq_U") / newest
        strength_n: np.ndarray = self.column("uses_U") * recency_n * (0.05 + self.column("birth_surprise_U"))
        return strength_n

    def weakest_slot(self) -> int:
        """The slot to give up: the loser of a lottery in which strength buys tickets, the newest eighth left out.

        Each pattern draws its lot at birth, so what is kept is a weighted reservoir of all that ever was (Efraimidis
        and Spirakis 2006) and old patterns thin out evenly; always giving up the least would end them all at once.
        """
        ids_n = self.column("pattern_id_U")
        lots_n = (scrambled(ids_n.astype(np.uint64)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        chances_n = np.log(np.maximum(lots_n, TINY)) / np.maximum(self.strengths(), TINY)
        chances_n[ids_n >= self.next_pattern_id - self._config.units // SPARED] = 0.0
        return int(chances_n.argmin())
