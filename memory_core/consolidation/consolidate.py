"""consolidate: like sleep. Near-duplicate patterns become one, then what is left is rehearsed.

Nothing that was told is lost: two patterns are merged only when all their exemplar texts fit into one.
Shapes: n patterns in use, m patterns kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch

from memory_core.consolidation.replay import rehearse, replay_recall
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName
from memory_core.patterns.bank import COLUMNS
from memory_core.results import ConsolidateResult, Exemplar
from memory_core.state import MemoryState

MERGE_COSINE: Final = 0.95
MERGE_SHARED_WORDS: Final = 0.8
STEPS_MAX: Final = 100
_ROWS_AT_ONCE: Final = 1024


def consolidate(state: MemoryState, memory: MemoryName, steps: int) -> tuple[MemoryState, ConsolidateResult]:
    """Merge near-duplicates, rehearse ``steps`` times (1 to 100); returns a new state, the old one is untouched."""
    if not 1 <= steps <= STEPS_MAX:
        raise InvalidInput(f"steps={steps} is not between 1 and {STEPS_MAX}.", hint="Use 1 for a quick pass.")
    started = time.perf_counter()
    before, before_count = replay_recall(state), state.pattern_count
    merged_into_n = _find_duplicates(state)
    result = _keep(state, merged_into_n) if (merged_into_n != np.arange(before_count)).any() else state.clone()
    rehearse(result, steps)
    merged = before_count - result.pattern_count
    return result, ConsolidateResult(
        memory=memory,
        patterns_merged=merged,
        memory_compressed_by=merged / max(1, before_count),
        stability_before=before,
        stability_after=replay_recall(result),
        duration_ms=1000 * (time.perf_counter() - started),
    )


def _find_duplicates(state: MemoryState) -> np.ndarray:
    """For each slot the slot it becomes part of (itself when it stays), shape (n,)."""
    n_patterns = state.pattern_count
    merged_into_n = np.arange(n_patterns)
    exemplars = {slot: list(texts) for slot, texts in enumerate(state.bank.exemplars)}
    single_m = np.flatnonzero(
        np.bincount(state.bank.units.owner_u[state.bank.units.owned()], minlength=n_patterns) == 1
    )
    for first, second in _close_pairs(state, single_m):
        kept = int(merged_into_n[first])
        if merged_into_n[second] == second and _are_duplicates(state, kept, second):
            union = _union(exemplars[kept], exemplars[second])
            if len(union) <= state.config.exemplars_per_pattern:
                merged_into_n[second], exemplars[kept] = kept, union
    return merged_into_n


def _close_pairs(state: MemoryState, slots_m: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of one-sentence patterns, older first, whose keys are nearly the same."""
    units = state.bank.units
    unit_of = {int(units.owner_u[unit]): unit for unit in units.owned().tolist()}
    keys_mD = units.keys_uD[[unit_of[slot] for slot in slots_m.tolist()]]
    for start in range(0, len(slots_m), _ROWS_AT_ONCE):
        close = torch.triu(keys_mD[start : start + _ROWS_AT_ONCE] @ keys_mD.T, start + 1) >= MERGE_COSINE
        for row, column in torch.nonzero(close).tolist():
            yield int(slots_m[start + row]), int(slots_m[column])


def _are_duplicates(state: MemoryState, first: int, second: int) -> bool:
    words = [state.words.words_of(slot) for slot in (first, second)]
    return len(words[0] & words[1]) >= MERGE_SHARED_WORDS * max(len(words[0]), len(words[1]))


def _union(first: list[Exemplar], second: list[Exemplar]) -> list[Exemplar]:
    seen = {(item.text, item.domain) for item in first}
    return first + [item for item in second if (item.text, item.domain) not in seen]


def _keep(state: MemoryState, merged_into_n: np.ndarray) -> MemoryState:
    """A new state that holds only the slots that stay, in order, with everything that pointed at the others moved."""
    kept_m = np.flatnonzero(merged_into_n == np.arange(len(merged_into_n)))
    new_slot_n = np.searchsorted(kept_m, merged_into_n)
    result = MemoryState(state.config, state.device)
    result.observation_count, result.surprise_recent = state.observation_count, state.surprise_recent
    result.precision = state.precision.clone()
    result.address_mean_D = state.address_mean_D.clone()
    result.fast_weights = {name: tensor.clone() for name, tensor in state.fast_weights.items()}
    _move_bank(state, result, kept_m, merged_into_n)
    words = state.words
    result.words.load(words.word_UW[kept_m], words.count_UW[kept_m], words.length_U[kept_m])
    for slot, exemplars in enumerate(result.bank.exemplars):
        result.speakers.learn(slot, exemplars[0].text)
    _move_links(state, result, new_slot_n)
    return result


def _move_bank(state: MemoryState, result: MemoryState, kept_m: np.ndarray, merged_into_n: np.ndarray) -> None:
    source, target = state.bank, result.bank
    target.count, target.next_pattern_id = len(kept_m), source.next_pattern_id
    for home, slot in enumerate(kept_m.tolist()):
        target.units.own(home, source.units.keys_uD[source.units.units_of(slot)])
    for name in COLUMNS:
        target.column(name)[:] = source.column(name)[kept_m]
    target.exemplars = [source.exemplars[slot] for slot in kept_m.tolist()]
    for slot in np.flatnonzero(merged_into_n != np.arange(len(merged_into_n))).tolist():
        home = int(np.searchsorted(kept_m, merged_into_n[slot]))
        target.exemplars[home] = tuple(_union(list(target.exemplars[home]), list(source.exemplars[slot])))
        target.column("uses_U")[home] += source.column("uses_U")[slot]
        target.column("last_seq_U")[home] = max(target.column("last_seq_U")[home], source.column("last_seq_U")[slot])


def _move_links(state: MemoryState, result: MemoryState, new_slot_n: np.ndarray) -> None:
    links = state.transitions
    source_E, link_E = np.nonzero(links.next_UL >= 0)
    for source, link in zip(source_E.tolist(), link_E.tolist(), strict=True):
        target, count = int(links.next_UL[source, link]), float(links.next_count_UL[source, link])
        result.transitions.link(int(new_slot_n[source]), int(new_slot_n[target]), count)
    result.transitions.tails = {session: int(new_slot_n[tail]) for session, tail in links.tails.items()}
