"""observe: what happens to a MemoryState when a batch of encoded observations is learned.

An observation is one passage or several. Each passage is matched with a pattern or recruits one, whose units take the
keys of its segments; then the fast weights take a step from every key towards its pattern's code.
Shapes: S segments, P passages, D key_dim, V value_dim, n patterns in use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from memory_core.consolidation.blending import make_room
from memory_core.consolidation.replay import rehearse
from memory_core.errors import InvalidInput, LearningFailed, ReadOnly, Saturated
from memory_core.ids import PatternId, Seq
from memory_core.networks.codes import value_codes
from memory_core.networks.learned_gates import learned_parameters
from memory_core.patterns.comparing import AnyComparison, compare
from memory_core.patterns.novelty import Novelties
from memory_core.patterns.passages import group_passages
from memory_core.patterns.word_table import WordId, words_of_text
from memory_core.results import EncodedObservation, Exemplar, ObserveOutcome
from memory_core.state import ADDRESS_FREEZE_AT, MemoryState, to_keys

CHUNK: Final = 128
SURPRISE_MEMORY: Final = 0.98


@dataclass(slots=True)
class _Report:
    """What happened to one observation so far."""

    surprises: list[float] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    patterns: list[PatternId] = field(default_factory=list)
    delta_square: float = 0.0
    learned: bool = False


@dataclass(frozen=True, slots=True)
class _Passage:
    """A text to learn as one pattern: where it came from, what it says, and its rows of keys."""

    exemplar: Exemplar
    words: list[WordId]
    keys_SD: torch.Tensor
    segments: int
    report: _Report


def observe(
    state: MemoryState, batch: Sequence[EncodedObservation], *, first_seq: Seq, learning_rate: float | None = None
) -> tuple[MemoryState, tuple[ObserveOutcome, ...]]:
    """Learn a batch in order. Raises ReadOnly, Saturated, InvalidInput or LearningFailed with the state unchanged."""
    step_size = state.config.learning_rate if learning_rate is None else learning_rate
    reports = [_Report() for _ in batch]
    passages = _passages(state, batch, reports, first_seq)
    _refuse_what_cannot_be_learned(state, step_size, passages)
    needed = sum(passage.segments for passage in passages)
    if needed > state.bank.units.free_count:
        state.become(make_room(state, needed))
    # A full bank replaces patterns, which changes what later passages are compared with: then one at a time.
    size = CHUNK if needed <= state.bank.units.free_count else 1
    for start in range(0, len(passages), size):
        _Chunk(state, step_size, passages[start : start + size]).learn()
    state.observation_count += len(batch)
    return state, tuple(_outcome(state, report, Seq(first_seq + row)) for row, report in enumerate(reports))


class _Chunk:
    """Passages that are compared with the same patterns and with each other, and write M together."""

    def __init__(self, state: MemoryState, step_size: float, passages: Sequence[_Passage]) -> None:
        self._state = state
        self._step_size = step_size
        self._passages = passages
        self._waiting: list[tuple[_Passage, int | None]] = []

    def learn(self) -> None:
        """Place each passage in order; M takes its steps at the end, or when the addresses are about to move."""
        bank = self._state.bank
        comparison = self._compare()
        novelties, recruits_P = self._settle(comparison)
        n_patterns, slots = bank.count, np.full(len(self._passages), -1)
        for row, (passage, score, nearest, is_new) in enumerate(
            zip(
                self._passages,
                novelties.score_P.tolist(),
                novelties.nearest_P.tolist(),
                recruits_P.tolist(),
                strict=True,
            )
        ):
            known = nearest if nearest < n_patterns else int(slots[nearest - n_patterns])
            slots[row] = slot = self._place(passage, score, None if is_new else known)
            self._waiting.append((passage, slot if is_new else None))
            if is_new and bank.next_pattern_id in ADDRESS_FREEZE_AT:
                self._flush()
                self._readdress()
        bank.crowd(comparison.nearest_neighbours(slots, recruits_P, bank.count))
        self._flush()

    def _compare(self) -> AnyComparison:
        state = self._state
        sizes = [passage.segments for passage in self._passages]
        return compare(
            state.bank, state.words, [passage.words for passage in self._passages], sizes, _keys(self._passages)
        )

    def _settle(self, comparison: AnyComparison) -> tuple[Novelties, np.ndarray]:
        """Novelty of each passage and whether it becomes a pattern.

        A passage depends on those before it only, so judging all at once under an assumption settles one more of them
        at least each time: the fixed point is what judging them one by one gives (Jacobi iteration).
        """
        recruits_P = np.ones(len(self._passages), dtype=bool)
        while True:
            novelties = comparison.judge(recruits_P)
            decided_P = self._decide(novelties)
            if np.array_equal(decided_P, recruits_P):
                return novelties, decided_P
            recruits_P = decided_P

    def _decide(self, novelties: Novelties) -> np.ndarray:
        """New is what surprises, and what its nearest pattern has no room for."""
        bank = self._state.bank
        is_new_P = novelties.score_P >= self._state.config.surprise_gate
        texts: dict[int, tuple[Exemplar, ...]] = {}
        for row in np.flatnonzero(~is_new_P).tolist():
            nearest, exemplar = int(novelties.nearest_P[row]), self._passages[row].exemplar
            if nearest not in texts:
                is_known = nearest < bank.count
                texts[nearest] = (
                    bank.exemplars[nearest] if is_known else (self._passages[nearest - bank.count].exemplar,)
                )
            joined = bank.joined(texts[nearest], exemplar)
            is_new_P[row] = joined is None
            texts[nearest] = joined or texts[nearest]
        return is_new_P

    def _place(self, passage: _Passage, score: float, known: int | None) -> int:
        state, bank, report = self._state, self._state.bank, passage.report
        if known is None:
            slot = self._recruit(passage, score)
        else:
            slot = known
            bank.strengthen(slot, passage.exemplar)
        session = passage.exemplar.session
        state.transitions.follow(session, [slot] if session is not None else [*report.slots[-1:], slot])
        report.surprises.append(score)
        report.slots.append(slot)
        report.patterns.append(PatternId(bank.pattern_id(slot)))
        return slot

    def _recruit(self, passage: _Passage, score: float) -> int:
        state = self._state
        n_patterns = state.bank.count
        slot = state.bank.recruit(passage.keys_SD, passage.exemplar, score)
        if slot < n_patterns:
            state.transitions.forget_slot(slot)
        state.words.learn(slot, passage.words)
        state.speakers.learn(slot, passage.exemplar.text)
        passage.report.learned = True
        return slot

    def _flush(self) -> None:
        """Count the keys that were placed and take their pending steps on M."""
        state, waiting = self._state, self._waiting
        if not waiting:
            return
        state.precision.learn(_keys([passage for passage, _ in waiting]))
        steps = [(passage, slot) for passage, slot in waiting if slot is not None]
        waiting.clear()
        if not steps:
            return
        keys_SD = _keys([passage for passage, _ in steps])
        ids_P = state.bank.columns["pattern_id_U"][[slot for _, slot in steps]]
        ids = np.repeat(ids_P, [passage.segments for passage, _ in steps])
        values_SV = value_codes(ids, state.config.key_dim, state.config.seed).to(state.device)
        state.fast_weights, _, norms_S = state.network.update(
            state.fast_weights, state.address_keys(keys_SD), values_SV, self._step_size
        )
        norms = iter(norms_S.tolist())
        for passage, _ in steps:
            passage.report.delta_square += sum(next(norms) ** 2 for _ in range(passage.segments))

    def _readdress(self) -> None:
        """Early on the mean of the keys is a guess: at fixed sizes take the measured one and rehearse all units."""
        state = self._state
        state.address_mean_D = (state.precision.sum_D / state.precision.count).clone()
        state.fast_weights = state.network.initial() | learned_parameters(state.fast_weights)
        rehearse(state)


def _passages(
    state: MemoryState, batch: Sequence[EncodedObservation], reports: Sequence[_Report], first_seq: Seq
) -> list[_Passage]:
    passages = []
    for row, (item, report) in enumerate(zip(batch, reports, strict=True)):
        told, spans = item.observation, item.encoded.spans
        keys_SD = to_keys(state, item.encoded.keys_SD)
        for segments in group_passages(spans):
            exemplar = Exemplar(
                text=item.encoded.text[spans[segments[0]][0] : spans[segments[-1]][1]],
                seq=Seq(first_seq + row),
                domain=told.domain,
                session=told.session,
                occurred_at=told.occurred_at,
                metadata=told.metadata,
            )
            words = words_of_text(exemplar.text, state.config.language)
            keys = keys_SD if len(segments) == len(spans) else keys_SD[segments.start : segments.stop]
            passages.append(_Passage(exemplar, words, keys, len(segments), report))
    return passages


def _keys(passages: Sequence[_Passage]) -> torch.Tensor:
    """Keys of all segments in order, (S, D)."""
    return passages[0].keys_SD if len(passages) == 1 else torch.cat([passage.keys_SD for passage in passages])


def _outcome(state: MemoryState, report: _Report, seq: Seq) -> ObserveOutcome:
    surprise = sum(report.surprises) / len(report.surprises)
    state.surprise_recent += (1 - SURPRISE_MEMORY) * (surprise - state.surprise_recent)
    return ObserveOutcome(
        seq=seq,
        surprise=surprise,
        weight_delta=math.sqrt(report.delta_square),
        learned=report.learned,
        patterns_activated=tuple(dict.fromkeys(report.patterns)),
    )


def _refuse_what_cannot_be_learned(state: MemoryState, step_size: float, passages: Sequence[_Passage]) -> None:
    if step_size == 0.0:
        raise ReadOnly("This memory has learning rate 0 and does not learn.", hint="Fork it with a learning rate > 0.")
    if not 0.0 < step_size <= 1.0:
        raise InvalidInput(f"learning_rate {step_size:g} is not in (0, 1].", hint="Choose a value in that range.")
    if not passages:
        raise InvalidInput("There is no text to learn.", hint="Send at least one non-empty text.")
    if not bool(np.isfinite(_keys(passages).cpu().numpy()).all()):
        raise LearningFailed("The encoder gave a key that is not finite; nothing was learned.", hint="Report the text.")
    needed, free = sum(passage.segments for passage in passages), state.bank.units.free_count
    if state.config.saturation == "refuse" and needed > free:
        raise Saturated(
            f"{free} of {state.config.units} units are free and {needed} could be needed.",
            hint="Consolidate, or fork into a memory with more units.",
        )
