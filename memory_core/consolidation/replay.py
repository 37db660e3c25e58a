"""Replay: rehearse what the patterns stand for, and measure how much of it reads back.

Shapes: R units of the sample, N units to rehearse, D key_dim, V value_dim, u units in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from memory_core.networks.ewc import Anchor, DenseNetwork, anchor_at, anchor_rows, pull_back
from memory_core.progress import OnProgress
from memory_core.state import MemoryState

SAMPLE: Final = 256
ANCHOR_SAMPLE: Final = 1024
HELD_OUT_SHARE: Final = 0.125
CHUNK: Final = 1024
_SEED: Final = 20_250_102


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How to rehearse. ewc_lambda: pull towards the weights as they were, 0 for none; on_progress: 0 to 1."""

    steps: int = 1
    ewc_lambda: float = 0.0
    on_progress: OnProgress = lambda _, __: None


ONCE: Final = Rehearsal()
NOTHING: Final = np.zeros(0, dtype=np.int64)


def reads_back(state: MemoryState, units_R: np.ndarray) -> np.ndarray:
    """For each of the units whether its key reads back its pattern's code, shape (R,) bool."""
    keys_RD = state.address_keys(state.bank.units.keys_uD[torch.from_numpy(units_R)])
    answers_RV = state.network.read(state.fast_weights, keys_RD)
    winners_R = (answers_RV @ state.codes().T).argmax(dim=1).cpu().numpy()
    kept: np.ndarray = winners_R == state.bank.units.owner_u[units_R]
    return kept


def held_out_units(state: MemoryState) -> np.ndarray:
    """A uniform sample of an eighth of the units, at most 256, ascending: what a consolidation is measured on.

    Drawn by a reservoir (Vitter 1985, algorithm R) over the units in the order they were recruited. The draw moves on
    with what the memory was told, so that no unit is left out of every rehearsal.
    """
    owned_u = state.bank.units.owned()
    count = min(SAMPLE, int(np.ceil(HELD_OUT_SHARE * len(owned_u))))
    reservoir_R = owned_u[:count].copy()
    rng = np.random.default_rng((_SEED, state.observation_count))
    places = rng.integers(0, np.arange(count, len(owned_u)) + 1)
    for unit, place in zip(owned_u[count:].tolist(), places.tolist(), strict=True):
        if place < count:
            reservoir_R[place] = unit
    return np.sort(reservoir_R)


def rehearse(state: MemoryState, rehearsal: Rehearsal = ONCE, held_out_R: np.ndarray = NOTHING) -> None:
    """Write every unit but those held out again, oldest first, in chunks; changes the fast weights in place.

    What ``on_progress`` raises ends it.
    """
    units_N = np.setdiff1d(state.bank.units.owned(), held_out_R)
    if not len(units_N):
        return
    anchor = _anchor(state, units_N) if rehearsal.ewc_lambda else None
    keys_ND, codes_NV = pairs_of(state, units_N)
    total, done = rehearsal.steps * len(units_N), 0
    for _ in range(rehearsal.steps):
        for keys_CD, codes_CV in zip(keys_ND.split(CHUNK), codes_NV.split(CHUNK), strict=True):  # type: ignore[no-untyped-call]
            rehearsal.on_progress(done / total, "rehearsing")
            state.fast_weights, _, _ = state.network.update(state.fast_weights, keys_CD, codes_CV, 1.0)
            if anchor is not None:
                state.fast_weights = pull_back(state.fast_weights, anchor, rehearsal.ewc_lambda)
            done += len(keys_CD)


def pairs_of(state: MemoryState, units_N: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys (N, D) and codes (N, V) of units."""
    units = state.bank.units
    owners_N = torch.from_numpy(units.owner_u[units_N].astype(np.int64))
    return state.address_keys(units.keys_uD[torch.from_numpy(units_N)]), state.codes()[owners_N]


def _anchor(state: MemoryState, units_N: np.ndarray) -> Anchor:
    """The weights as they are: dense ones by the Fisher information of at most 1,024 units, rows by their variance."""
    network = state.network
    if not isinstance(network, DenseNetwork):
        return anchor_rows(state.fast_weights)
    chosen_N = units_N[np.unique(np.linspace(0, len(units_N) - 1, ANCHOR_SAMPLE).astype(np.int64))]
    return anchor_at(network, state.fast_weights, pairs_of(state, chosen_N)[0])
