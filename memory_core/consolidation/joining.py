"""Joining patterns: a state in which some slots have become part of others.

Shapes: n patterns in use, m patterns kept, E links.
"""

from __future__ import annotations

import numpy as np

from memory_core.patterns.bank import COLUMNS
from memory_core.results import Exemplar
from memory_core.state import MemoryState


def join(state: MemoryState, merged_into_n: np.ndarray) -> tuple[MemoryState, np.ndarray]:
    """A new state that holds only the slots that stay, in order, and the new slot of each old one, shape (n,).

    A slot that stays keeps its keys and words and takes the texts, uses and links of those that become part of it.
    """
    kept_m = np.flatnonzero(merged_into_n == np.arange(len(merged_into_n)))
    new_slot_n = np.searchsorted(kept_m, merged_into_n)
    result = MemoryState(state.config, state.device)
    result.observation_count, result.surprise_recent = state.observation_count, state.surprise_recent
    result.precision = state.precision.clone()
    result.address_mean_D = state.address_mean_D.clone()
    result.channel_weights_C = state.channel_weights_C.copy()
    result.fast_weights = {name: tensor.clone() for name, tensor in state.fast_weights.items()}
    _move_bank(state, result, kept_m, merged_into_n)
    words = state.words
    result.words.load(words.word_UW[kept_m], words.count_UW[kept_m], words.length_U[kept_m])
    for slot, exemplars in enumerate(result.bank.exemplars):
        result.speakers.learn(slot, exemplars[0].text)
    _move_links(state, result, new_slot_n)
    return result, new_slot_n


def _move_bank(state: MemoryState, result: MemoryState, kept_m: np.ndarray, merged_into_n: np.ndarray) -> None:
    source, target = state.bank, result.bank
    target.count, target.next_pattern_id = len(kept_m), source.next_pattern_id
    for home, slot in enumerate(kept_m.tolist()):
        units = source.units.units_of(slot)
        target.units.own(range(home, home + 1), source.units.keys_uD[units], [len(units)])
    for name in COLUMNS:
        target.column(name)[:] = source.column(name)[kept_m]
    target.exemplars = [source.exemplars[slot] for slot in kept_m.tolist()]
    for slot in np.flatnonzero(merged_into_n != np.arange(len(merged_into_n))).tolist():
        home = int(np.searchsorted(kept_m, merged_into_n[slot]))
        target.exemplars[home] = tuple(union(list(target.exemplars[home]), list(source.exemplars[slot])))
        target.column("uses_U")[home] += source.column("uses_U")[slot]
        target.column("last_seq_U")[home] = max(target.column("last_seq_U")[home], source.column("last_seq_U")[slot])


def _move_links(state: MemoryState, result: MemoryState, new_slot_n: np.ndarray) -> None:
    links = state.transitions
    source_E, link_E = np.nonzero(links.next_UL >= 0)
    for source, link in zip(source_E.tolist(), link_E.tolist(), strict=True):
        target, count = int(links.next_UL[source, link]), float(links.next_count_UL[source, link])
        result.transitions.link(int(new_slot_n[source]), int(new_slot_n[target]), count)
    result.transitions.tails = {session: int(new_slot_n[tail]) for session, tail in links.tails.items()}


def union(first: list[Exemplar], second: list[Exemplar]) -> list[Exemplar]:
    """The first ones and those of the second that say something else or in another domain."""
    seen = {(item.text, item.domain) for item in first}
    return first + [item for item in second if (item.text, item.domain) not in seen]
