"""consolidate: like sleep. Near-duplicates become one, gates are learned, what is left is rehearsed, channels weighed.

Nothing that was told is lost: two patterns are merged only when all their exemplar texts fit into one. What it did for
recall is measured on units that are held out of the rehearsal.
Shapes: n patterns in use, m patterns kept, R units held out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch

from memory_core.consolidation.gates import improve_gates
from memory_core.consolidation.joining import join, union
from memory_core.consolidation.plan import ConsolidationPlan
from memory_core.consolidation.replay import Rehearsal, held_out_units, reads_back, rehearse
from memory_core.consolidation.trust import learn_channel_weights
from memory_core.ids import MemoryName
from memory_core.progress import OnProgress
from memory_core.results import ConsolidateResult
from memory_core.state import MemoryState

MERGE_COSINE: Final = 0.95
MERGE_SHARED_WORDS: Final = 0.8
_MERGED_AT: Final = 0.1
_GATED_AT: Final = 0.3
_REHEARSED_AT: Final = 0.9
_WEIGHED_AT: Final = 0.98
_ROWS_AT_ONCE: Final = 1024


def consolidate(
    state: MemoryState, memory: MemoryName, plan: ConsolidationPlan, on_progress: OnProgress = lambda _, __: None
) -> tuple[MemoryState, ConsolidateResult]:
    """Merge near-duplicates, learn gates, rehearse; returns a new state, the old one is untouched.

    ``on_progress`` is told the share done and the phase between steps; what it raises cancels the whole.
    """
    started = time.perf_counter()
    on_progress(0.0, "merging")
    held_R = held_out_units(state)
    before_R = reads_back(state, held_R) if len(held_R) else np.ones(0, dtype=bool)
    merged_into_n = _find_duplicates(state)
    has_merged = bool((merged_into_n != np.arange(state.pattern_count)).any())
    result = join(state, merged_into_n)[0] if has_merged else state.clone()
    moved_R, was_kept_R = _moved_units(state, result, held_R, merged_into_n) if has_merged else (held_R, held_R >= 0)
    gating = _between(on_progress, _MERGED_AT, _GATED_AT)
    improve_gates(result, lambda share: gating(share, "gating"))
    rehearsal = Rehearsal(plan.steps, plan.ewc_lambda, _between(on_progress, _GATED_AT, _REHEARSED_AT))
    rehearse(result, rehearsal, moved_R)
    on_progress(_REHEARSED_AT, "weighing")
    result.channel_weights_C = learn_channel_weights(result)
    on_progress(_WEIGHED_AT, "measuring")
    after_R = reads_back(result, moved_R) if len(moved_R) else np.ones(0, dtype=bool)
    merged = state.pattern_count - result.pattern_count
    return result, ConsolidateResult(
        memory=memory,
        patterns_merged=merged,
        memory_compressed_by=merged / max(1, state.pattern_count),
        stability_before=_share(before_R[was_kept_R]),
        stability_after=_share(after_R),
        stability_score=_share(after_R[before_R[was_kept_R]]),
        held_out=len(moved_R),
        duration_ms=1000 * (time.perf_counter() - started),
    )


def _share(is_right_R: np.ndarray) -> float:
    return float(is_right_R.mean()) if len(is_right_R) else 1.0


def _between(on_progress: OnProgress, low: float, high: float) -> OnProgress:
    return lambda fraction, phase: on_progress(low + fraction * (high - low), phase)


def _moved_units(
    state: MemoryState, result: MemoryState, units_R: np.ndarray, merged_into_n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where units are in the new state, and which of them (R,) are: the units of a merged pattern are no more."""
    owners_R = state.bank.units.owner_u[units_R]
    was_kept_R = merged_into_n[owners_R] == owners_R
    kept_m = np.flatnonzero(merged_into_n == np.arange(len(merged_into_n)))
    moved = []
    for unit, owner in zip(units_R[was_kept_R].tolist(), owners_R[was_kept_R].tolist(), strict=True):
        home = int(np.searchsorted(kept_m, owner))
        moved.append(result.bank.units.units_of(home)[state.bank.units.units_of(owner).index(unit)])
    return np.array(moved, dtype=np.int64), was_kept_R


def _find_duplicates(state: MemoryState) -> np.ndarray:
    """For each slot the slot it becomes part of (itself when it stays), shape (n,)."""
    n_patterns = state.pattern_count
    merged_into_n = np.arange(n_patterns)
    exemplars = {slot: list(texts) for slot, texts in enumerate(state.bank.exemplars)}
    single_m = np.flatnonzero(state.bank.unit_counts() == 1)
    for first, second in _close_pairs(state, single_m):
        kept = int(merged_into_n[first])
        if merged_into_n[second] == second and _are_duplicates(state, kept, second):
            both = union(exemplars[kept], exemplars[second])
            if len(both) <= state.config.exemplars_per_pattern:
                merged_into_n[second], exemplars[kept] = kept, both
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
