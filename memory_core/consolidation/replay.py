"""Replay: rehearse what the patterns stand for, and measure how much of it reads back.

Shapes: R patterns of the sample, D key_dim, n patterns in use.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from memory_core.state import MemoryState

SAMPLE: Final = 256


def replay_recall(state: MemoryState) -> float:
    """Share of an even sample of patterns whose key reads back its own code from the fast weights, in [0, 1]."""
    if not state.pattern_count:
        return 1.0
    chosen_R = np.unique(np.linspace(0, state.pattern_count - 1, SAMPLE).astype(np.int64))
    keys_RD = state.address_keys(state.bank.keys_nD[torch.from_numpy(chosen_R)])
    answers_RV = state.network.read(state.fast_weights, keys_RD)
    winners_R = (answers_RV @ state.codes().T).argmax(dim=1).cpu().numpy()
    return float((winners_R == chosen_R).mean())


def rehearse(state: MemoryState, steps: int) -> None:
    """Write every pattern again ``steps`` times, oldest first; changes the fast weights of ``state`` in place."""
    if not state.pattern_count:
        return
    keys_nD, codes_nV = state.address_keys(state.bank.keys_nD), state.codes()
    for _ in range(steps):
        state.fast_weights, _, _ = state.network.update(state.fast_weights, keys_nD, codes_nV, 1.0)
