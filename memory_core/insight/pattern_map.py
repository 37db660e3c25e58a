"""pattern_map: the patterns of a memory in two dimensions, for people to look at.

A pattern lies where the mean of its units' keys does, on the two principal axes of the patterns that are shown.
Shapes: U units ever used, n patterns, P patterns shown, D key_dim.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, PatternId
from memory_core.insight_results import PatternMap, PatternPoint
from memory_core.patterns.unit_table import FREE
from memory_core.state import MemoryState

POINTS_MAX: Final = 1000
EXEMPLARS_SHOWN: Final = 2


def pattern_map(state: MemoryState, memory: MemoryName, limit: int = 300) -> PatternMap:
    """The ``limit`` (1 to 1000) strongest patterns; InvalidInput outside that range."""
    if not 1 <= limit <= POINTS_MAX:
        raise InvalidInput(f"limit={limit} is not between 1 and {POINTS_MAX}.", hint="Ask for fewer patterns.")
    strength_n = state.bank.strengths()
    shown_P = np.argsort(-strength_n, kind="stable")[:limit]
    places_P2, variance_shown = principal_places(_mean_keys(state)[torch.from_numpy(shown_P)])
    points = tuple(
        PatternPoint(
            pattern=PatternId(state.bank.pattern_id(slot)),
            x=float(x),
            y=float(y),
            strength=float(strength_n[slot]),
            activation_count=int(state.bank.columns["uses_U"][slot]),
            exemplars=state.bank.exemplars[slot][:EXEMPLARS_SHOWN],
        )
        for slot, (x, y) in zip(shown_P.tolist(), places_P2, strict=True)
    )
    return PatternMap(memory=memory, pattern_count=state.pattern_count, variance_shown=variance_shown, points=points)


def principal_places(keys_PD: torch.Tensor) -> tuple[list[list[float]], float]:
    """Coordinates on the two principal axes, and the share of the variance there; the signs are fixed."""
    if len(keys_PD) < 2:
        return [[0.0, 0.0]] * len(keys_PD), 1.0
    centred_PD = keys_PD.double() - keys_PD.double().mean(0)
    left, spread, _ = torch.linalg.svd(centred_PD, full_matrices=False)
    places_P2 = left[:, :2] * spread[:2]
    largest_2 = places_P2.abs().argmax(0)
    places_P2 = places_P2 * torch.sign(places_P2[largest_2, torch.arange(2)])
    total = float(spread.square().sum())
    return places_P2.tolist(), float(spread[:2].square().sum()) / total if total else 1.0


def _mean_keys(state: MemoryState) -> torch.Tensor:
    """Mean key of every pattern, shape (n, D)."""
    units = state.bank.units
    owned = torch.from_numpy(np.flatnonzero(units.owner_u != FREE))
    owner = torch.from_numpy(units.owner_u.astype(np.int64))[owned]
    keys_UD = units.keys_uD.cpu()[owned]
    sums_nD = torch.zeros(state.pattern_count, keys_UD.shape[1]).index_add_(0, owner, keys_UD)
    count_n = torch.bincount(owner, minlength=state.pattern_count).clamp(min=1)
    return sums_nD / count_n[:, None]
