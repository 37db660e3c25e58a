"""What a memory does when its units run out: the two patterns that are most alike become one, before any is given up.

A blend has one unit, whose key is the mean of its texts' keys; it keeps the words, links and exemplar texts of both, so
what was told can still be recalled, only less exactly addressed. It ends where a pattern's exemplars are full; then
the weakest goes. Many pairs are blended at a time, since finding them costs a product of keys and moving slots costs
a pass over the memory. Shapes: n patterns in use, e that may be blended, c candidates, D key_dim.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from memory_core.consolidation.joining import join
from memory_core.networks.codes import value_codes
from memory_core.state import MemoryState

BLENDED_SHARE: Final = 1 / 32
CANDIDATES_PER_PAIR: Final = 4
_ROWS_AT_ONCE: Final = 256
_NOT: Final = -2.0


def make_room(state: MemoryState, needed: int) -> MemoryState:
    """The state with about ``needed`` free units, a 32nd of all at least; the same one when nothing can be blended."""
    while state.bank.units.free_count < needed:
        wanted = max(needed - state.bank.units.free_count, round(BLENDED_SHARE * state.config.units))
        merged_into_n = _closest_pairs(state, wanted)
        if (merged_into_n == np.arange(len(merged_into_n))).all():
            break
        state = _blended(state, merged_into_n)
    return state


def _closest_pairs(state: MemoryState, wanted: int) -> np.ndarray:
    """For each slot the older slot it becomes part of (itself when it stays), shape (n,); at most ``wanted`` move."""
    bank, merged_into_n = state.bank, np.arange(state.pattern_count)
    texts_n = np.array([len(texts) for texts in bank.exemplars], dtype=np.int64)
    slots_e = np.flatnonzero((bank.unit_counts() == 1) & (texts_n < state.config.exemplars_per_pattern))
    if len(slots_e) < 2:
        return merged_into_n
    order_e = np.argsort(-bank.column("crowding_U")[slots_e], kind="stable")
    candidates_c = slots_e[order_e[: CANDIDATES_PER_PAIR * wanted]]
    cosine_c, partner_c = _best_partners(state, candidates_c, slots_e, texts_n)
    taken = np.zeros(state.pattern_count, dtype=bool)
    for row in np.argsort(-cosine_c, kind="stable").tolist():
        older, younger = sorted((int(candidates_c[row]), int(partner_c[row])), key=bank.pattern_id)
        if cosine_c[row] == _NOT or taken[older] or taken[younger]:
            continue
        taken[[older, younger]] = True
        merged_into_n[younger] = older
        wanted -= 1
        if not wanted:
            break
    return merged_into_n


def _best_partners(
    state: MemoryState, candidates_c: np.ndarray, slots_e: np.ndarray, texts_n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine (c,) and slot (c,) of the nearest pattern that a candidate can be blended with; ``_NOT`` without any."""
    units, unit_of_n = state.bank.units, np.zeros(state.pattern_count, dtype=np.int64)
    owned_u = units.owned()
    unit_of_n[units.owner_u[owned_u]] = owned_u
    keys_eD = units.keys_uD[torch.from_numpy(unit_of_n[slots_e])]
    cosines, partners = [], []
    for rows_B in np.split(candidates_c, range(_ROWS_AT_ONCE, len(candidates_c), _ROWS_AT_ONCE)):
        cosine_Be = (units.keys_uD[torch.from_numpy(unit_of_n[rows_B])] @ keys_eD.T).cpu().numpy()
        is_too_much_Be = texts_n[rows_B][:, None] + texts_n[slots_e] > state.config.exemplars_per_pattern
        cosine_Be[is_too_much_Be | (rows_B[:, None] == slots_e)] = _NOT
        best_B = cosine_Be.argmax(axis=1)
        cosines.append(cosine_Be[np.arange(len(rows_B)), best_B])
        partners.append(slots_e[best_B])
    return np.concatenate(cosines), np.concatenate(partners)


def _blended(state: MemoryState, merged_into_n: np.ndarray) -> MemoryState:
    """A new state with the pairs joined, the mean of their keys and texts, and that key written to the fast weights."""
    result, home_n = join(state, merged_into_n)
    source, target = state.bank, result.bank
    gone = np.flatnonzero(merged_into_n != np.arange(len(merged_into_n)))
    homes = home_n[gone]
    for slot, home in zip(gone.tolist(), homes.tolist(), strict=True):
        kept = int(merged_into_n[slot])
        texts, more = len(source.exemplars[kept]), len(source.exemplars[slot])
        (unit,), (own,), (other,) = (
            target.units.units_of(home),
            source.units.units_of(kept),
            source.units.units_of(slot),
        )
        mean_D = texts * source.units.keys_UD[own] + more * source.units.keys_UD[other]
        target.units.replace(unit, torch.nn.functional.normalize(mean_D, dim=-1))
        target.columns["segments_U"][home] += source.columns["segments_U"][slot]
        result.words.learn(home, [*state.words.occurrences(kept), *state.words.occurrences(slot)])
    _write(result, homes)
    _measure_crowding(result, homes)
    return result


def _write(result: MemoryState, homes: np.ndarray) -> None:
    """The blends' new keys lead to their codes."""
    units = result.bank.units
    rows = torch.tensor([unit for home in homes.tolist() for unit in units.units_of(home)])
    codes_NV = value_codes(result.bank.column("pattern_id_U")[homes], result.config.key_dim, result.config.seed)
    result.fast_weights, _, _ = result.network.update(
        result.fast_weights, result.address_keys(units.keys_uD[rows]), codes_NV.to(result.device), 1.0
    )


def _measure_crowding(result: MemoryState, homes: np.ndarray) -> None:
    units, crowding_n = result.bank.units, result.bank.column("crowding_U")
    for rows in np.split(homes, range(_ROWS_AT_ONCE, len(homes), _ROWS_AT_ONCE)):
        keys_BD = torch.stack([units.keys_uD[units.units_of(home)[0]] for home in rows.tolist()])
        cosine_Bn = result.similarity(keys_BD)
        cosine_Bn[np.arange(len(rows)), rows] = 0.0
        crowding_n[rows] = cosine_Bn.max(axis=1)
