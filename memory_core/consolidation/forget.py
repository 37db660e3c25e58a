"""forget: weights do not delete a row, so a memory forgets by becoming what it would be without the subject.

A new state is built from the patterns that are kept, in the order of their birth: fast weights, words, precision,
speakers and crowding are learned again from them alone; learned gates start anew. Pattern ids, counters and links
between kept patterns stay. A pattern keeps its keys, which were made from its first exemplar; when that one goes and
others stay, the keys are made anew from the first that stays; those of a blend from all that stay.
Shapes: n patterns in use, m patterns kept, S segments, D key_dim, B of a block.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from memory_core.consolidation.replay import rehearse
from memory_core.consolidation.selection import Chooser
from memory_core.errors import Unavailable
from memory_core.ids import MemoryName, PatternId
from memory_core.patterns.bank import COLUMNS
from memory_core.patterns.unit_table import pool_keys
from memory_core.patterns.word_table import words_of_text
from memory_core.recall import infer, surprise
from memory_core.results import EncodedText, Exemplar, ForgetReceipt, ForgetSelection, InferOptions
from memory_core.state import ADDRESS_FREEZE_AT, MemoryState, to_keys

MEASURED_MAX: Final = 64
LISTED_MAX: Final = 100
_BLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class Cut:
    """What a selection does to a state. removed: exemplars that go; kept: those that stay, of slots in birth order.

    refounded: the texts that a kept slot's keys are to be made from, where they are others than before.
    """

    removed: tuple[Exemplar, ...]
    kept: tuple[tuple[int, tuple[Exemplar, ...]], ...]
    refounded: dict[int, tuple[str, ...]]

    @property
    def texts_to_encode(self) -> tuple[str, ...]:
        """Distinct texts ``forget`` needs keys of: a sample of the removed, and what patterns now stand on."""
        chosen = np.unique(np.linspace(0, max(0, len(self.removed) - 1), MEASURED_MAX).astype(np.int64))
        sample = [self.removed[row].text for row in chosen[: len(self.removed)].tolist()]
        return tuple(dict.fromkeys([*sample, *(text for texts in self.refounded.values() for text in texts)]))


def cut(state: MemoryState, selection: ForgetSelection) -> Cut:
    """Find what a selection chooses; InvalidInput when it chooses by nothing or by what cannot be read."""
    chooser = Chooser(selection, state.config.language)
    removed: list[Exemplar] = []
    kept: list[tuple[int, tuple[Exemplar, ...]]] = []
    refounded: dict[int, tuple[str, ...]] = {}
    is_blend_n = state.bank.blends()
    for slot in np.argsort(state.bank.column("pattern_id_U"), kind="stable").tolist():
        exemplars = state.bank.exemplars[slot]
        going = [chooser.chooses(item, PatternId(state.bank.pattern_id(slot))) for item in exemplars]
        removed.extend(item for item, goes in zip(exemplars, going, strict=True) if goes)
        staying = tuple(item for item, goes in zip(exemplars, going, strict=True) if not goes)
        if staying:
            kept.append((slot, staying))
        if staying and any(going) and is_blend_n[slot]:
            refounded[slot] = _distinct(staying)
        elif staying and staying[0].text != exemplars[0].text:
            refounded[slot] = (staying[0].text,)
    return Cut(tuple(removed), tuple(kept), refounded)


def forget(
    state: MemoryState, memory: MemoryName, selection: ForgetSelection, encoded: Sequence[EncodedText] = ()
) -> tuple[MemoryState, ForgetReceipt]:
    """A new state without what the selection chooses, and what was measured; the old one is untouched.

    ``encoded``: keys of ``cut(state, selection).texts_to_encode``, by the memory's encoder. Unavailable when some are
    missing because the memory has learned since; InvalidInput for a selection without sense.
    """
    started = time.perf_counter()
    chosen = cut(state, selection)
    keys = {item.text: item for item in encoded}
    _require_keys(chosen, keys)
    result = _rebuild(state, chosen, keys)
    measured = [keys[text] for text in dict.fromkeys(item.text for item in chosen.removed) if text in keys]
    return result, ForgetReceipt(
        memory=memory,
        is_dry_run=False,
        patterns_removed=state.pattern_count - result.pattern_count,
        exemplars_removed=len(chosen.removed),
        texts_measured=len(measured),
        surprise_before=_mean_surprise(state, memory, measured),
        surprise_after=_mean_surprise(result, memory, measured),
        recall_before=_recall(state, memory, measured),
        recall_after=_recall(result, memory, measured),
        checkpoints_holding=(),
        forks_holding=(),
        exemplars=(),
        duration_ms=1000 * (time.perf_counter() - started),
    )


def _distinct(exemplars: Sequence[Exemplar]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.text for item in exemplars))


def _require_keys(chosen: Cut, keys: Mapping[str, EncodedText]) -> None:
    if any(text not in keys for texts in chosen.refounded.values() for text in texts):
        raise Unavailable(
            "The memory learned something new about this while the forgetting was prepared; nothing was changed.",
            code="FORGET_INTERRUPTED",
            hint="Repeat the request.",
            retry_after_s=0.1,
        )


def _rebuild(state: MemoryState, chosen: Cut, keys: Mapping[str, EncodedText]) -> MemoryState:
    result = MemoryState(state.config, state.device)
    result.observation_count, result.surprise_recent = state.observation_count, state.surprise_recent
    _place_patterns(state, result, chosen, keys)
    _measure_crowding(result)
    units = result.bank.units
    result.precision.learn(units.keys_uD)
    result.address_mean_D = _address_mean(result)
    rehearse(result)
    _keep_links(state, result, [slot for slot, _ in chosen.kept])
    return result


def _place_patterns(state: MemoryState, result: MemoryState, chosen: Cut, keys: Mapping[str, EncodedText]) -> None:
    source, target, is_blend_n = state.bank, result.bank, state.bank.blends()
    slots_m = [slot for slot, _ in chosen.kept]
    target.count, target.next_pattern_id = len(slots_m), source.next_pattern_id
    target.exemplars = [exemplars for _, exemplars in chosen.kept]
    for name in COLUMNS:
        target.column(name)[:] = source.column(name)[slots_m]
    for home, (slot, exemplars) in enumerate(chosen.kept):
        keys_SD = source.units.keys_uD[source.units.units_of(slot)]
        if slot in chosen.refounded:
            anew_SD = to_keys(state, *(keys[text].keys_SD for text in chosen.refounded[slot]))
            keys_SD = pool_keys(anew_SD, len(keys_SD))
            target.columns["segments_U"][home] = len(anew_SD)
            target.columns["born_seq_U"][home] = exemplars[0].seq
        target.units.own(range(home, home + 1), keys_SD, [len(keys_SD)])
        texts = _distinct(exemplars) if is_blend_n[slot] else (exemplars[0].text,)
        words = [word for text in texts for word in words_of_text(text, state.config.language)]
        result.words.learn(home, words)
        result.speakers.learn(home, exemplars[0].text)


def _measure_crowding(result: MemoryState) -> None:
    """Each pattern's cosine with its nearest neighbour, as learning the kept ones one by one would have found it."""
    units, crowding_m = result.bank.units, result.bank.column("crowding_U")
    crowding_m[:] = 0.0
    for start in range(0, len(crowding_m), _BLOCK):
        rows_S = np.flatnonzero((units.owner_u >= start) & (units.owner_u < start + _BLOCK))
        nearest_Sm = result.similarity(units.keys_uD[torch.from_numpy(rows_S)])
        firsts_B = np.flatnonzero(np.diff(units.owner_u[rows_S], prepend=-1))
        sizes_B = np.diff([*firsts_B.tolist(), len(rows_S)])
        mean_Bm = np.add.reduceat(nearest_Sm, firsts_B, axis=0) / sizes_B[:, None]
        earlier_Bm = np.where(np.arange(len(crowding_m)) < start + np.arange(len(sizes_B))[:, None], mean_Bm, 0.0)
        np.maximum(crowding_m, earlier_Bm.max(axis=0), out=crowding_m)
        own_B = slice(start, start + len(sizes_B))
        crowding_m[own_B] = np.maximum(crowding_m[own_B], earlier_Bm.max(axis=1))


def _address_mean(result: MemoryState) -> torch.Tensor:
    """The mean by which addresses are centred: of the first patterns, up to the size at which it was last frozen."""
    frozen_at = max((size for size in ADDRESS_FREEZE_AT if size <= result.bank.next_pattern_id), default=0)
    units = result.bank.units
    keys_uD = units.keys_uD[torch.from_numpy(np.flatnonzero(units.owner_u < frozen_at))]
    return keys_uD.mean(0) if len(keys_uD) else torch.zeros_like(result.address_mean_D)


def _keep_links(state: MemoryState, result: MemoryState, slots_m: list[int]) -> None:
    """Links and open ends of sessions among kept slots; what led to or from a removed one is gone."""
    links, home_of = state.transitions, {slot: home for home, slot in enumerate(slots_m)}
    for source in slots_m:
        for target, count in zip(links.next_UL[source].tolist(), links.next_count_UL[source].tolist(), strict=True):
            if target in home_of:
                result.transitions.link(home_of[source], home_of[target], count)
    result.transitions.tails = {name: home_of[tail] for name, tail in links.tails.items() if tail in home_of}


def _mean_surprise(state: MemoryState, memory: MemoryName, texts: Sequence[EncodedText]) -> float | None:
    scores = [surprise(state, memory, text).score for text in texts]
    return sum(scores) / len(scores) if scores else None


def _recall(state: MemoryState, memory: MemoryName, texts: Sequence[EncodedText]) -> float | None:
    """Share of the texts that are among the exemplars of the answer to themselves."""
    hits = [
        any(item.text == text.text for match in answer.patterns for item in match.exemplars)
        for text, answer in ((text, infer(state, memory, text, InferOptions())) for text in texts)
    ]
    return sum(hits) / len(hits) if hits else None
