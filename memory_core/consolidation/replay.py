"""Replay: rehearse what the patterns stand for, and measure how much of it reads back.

Shapes: R units of the sample, D key_dim, V value_dim, u units in use.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from memory_core.state import MemoryState

SAMPLE: Final = 256


def replay_recall(state: MemoryState) -> float:
    """Share of an even sample of units whose key reads back its pattern's code from the fast weights, in [0, 1]."""
    units = state.bank.units
    owned_u = units.owned()
    if not len(owned_u):
        return 1.0
    chosen_R = owned_u[np.unique(np.linspace(0, len(owned_u) - 1, SAMPLE).astype(np.int64))]
    keys_RD = state.address_keys(units.keys_uD[torch.from_numpy(chosen_R)])
    answers_RV = state.network.read(state.fast_weights, keys_RD)
    winners_R = (answers_RV @ state.codes().T).argmax(dim=1).cpu().numpy()
    return float((winners_R == units.owner_u[chosen_R]).mean())


def rehearse(state: MemoryState, steps: int) -> None:
    """Write every unit again ``steps`` times, oldest first; changes the fast weights of ``state`` in place."""
    owned_u = state.bank.units.owned()
    if not len(owned_u):
        return
    keys_uD = state.address_keys(state.bank.units.keys_uD[torch.from_numpy(owned_u)])
    owners_u = state.bank.units.owner_u[owned_u].astype(np.int64)
    codes_uV = state.codes()[torch.from_numpy(owners_u)]
    for _ in range(steps):
        state.fast_weights, _, _ = state.network.update(state.fast_weights, keys_uD, codes_uV, 1.0)
