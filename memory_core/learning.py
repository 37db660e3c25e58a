"""observe: what happens to a MemoryState when a batch of encoded observations is learned.

An observation is one passage or several. Each passage is matched with a pattern or recruits one, whose units take the
keys of its segments; then the fast weights take a step from every key towards its pattern's code.
Shapes: S segments, P passages, R of them new, D key_dim, V value_dim, n patterns in use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress
from typing import Final, NamedTuple

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

CHUNK: Final = 256
SURPRISE_MEMORY: Final = 0.98


@dataclass(slots=True)
class _Report:
    """What happened to one observation so far."""

    surprises: list[float] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    patterns: list[PatternId] = field(default_factory=list)
    delta_square: float = 0.0
    learned: bool = False


class _Passage(NamedTuple):
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
    _refuse_step_size(step_size)
    keys_SD = _keys_to_learn(state, batch)
    reports = [_Report() for _ in batch]
    passages = _passages(state, batch, keys_SD, reports, first_seq)
    needed = len(keys_SD)
    if needed > state.bank.units.free_count:
        state.become(make_room(state, needed))
    # A full bank replaces patterns, which changes what later passages are compared with: then one at a time.
    size = CHUNK if needed <= state.bank.units.free_count else 1
    for start in range(0, len(passages), size):
        _Chunk(state, step_size, passages[start : start + size]).learn()
    state.observation_count += len(batch)
    return state, tuple(_outcome(state, report, Seq(first_seq + row)) for row, report in enumerate(reports))


class _Placement(NamedTuple):
    """Passages, the slot of each, whether it is a new pattern's, and the surprise."""

    passages: Sequence[_Passage]
    slots: Sequence[int]
    recruits: Sequence[bool]
    scores: Sequence[float]

    def part(self, begin: int, end: int) -> _Placement:
        return _Placement._make(column[begin:end] for column in self)

    def recruited(self) -> _Placement:
        """Those of the passages that become patterns."""
        return (
            self if all(self.recruits) else _Placement._make(list(compress(column, self.recruits)) for column in self)
        )


class _Chunk:
    """Passages that are compared with the same patterns and with each other, and write M together."""

    def __init__(self, state: MemoryState, step_size: float, passages: Sequence[_Passage]) -> None:
        self._state = state
        self._step_size = step_size
        self._passages = passages
        self._waiting: list[tuple[_Passage, int | None]] = []

    def learn(self) -> None:
        """Place the passages in order; M takes its steps at the end, or when the addresses are about to move."""
        bank, begin = self._state.bank, 0
        comparison = self._compare()
        novelties, recruits_P = self._settle(comparison)
        recruits = recruits_P.tolist()
        slots = self._slots(novelties.nearest_P, recruits)
        placement = _Placement(self._passages, slots, recruits, novelties.score_P.tolist())
        for end in self._address_moves(recruits):
            self._place(placement.part(begin, end))
            self._flush()
            self._readdress()
            begin = end
        self._place(placement.part(begin, len(slots)))
        bank.crowd(comparison.nearest_neighbours(np.array(slots), recruits_P, bank.count))
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

    def _slots(self, nearest_P: np.ndarray, recruits: Sequence[bool]) -> list[int]:
        """The slot that each passage recruits, or that it strengthens: a known one or an earlier passage's."""
        n_patterns, slots = self._state.bank.count, list[int]()
        vacant = iter(self._state.bank.vacant_slots(sum(recruits)) if any(recruits) else ())
        for nearest, is_new in zip(nearest_P.tolist(), recruits, strict=True):
            known = nearest if nearest < n_patterns else slots[nearest - n_patterns]
            slots.append(next(vacant) if is_new else known)
        return slots

    def _address_moves(self, recruits: Sequence[bool]) -> Iterator[int]:
        """After how many passages the mean that centres addresses is measured anew; mostly never."""
        number = self._state.bank.next_pattern_id
        if number >= max(ADDRESS_FREEZE_AT):
            return
        for row, reached in enumerate(accumulate(recruits, initial=number)):
            if row and recruits[row - 1] and reached in ADDRESS_FREEZE_AT:
                yield row

    def _place(self, part: _Placement) -> None:
        """Let what is new take its slots, count what is known, and link and report all in order."""
        if any(part.recruits):
            self._recruit(part.recruited())
        state, waiting = self._state, self._waiting
        ids = state.bank.columns["pattern_id_U"][part.slots].tolist()
        for passage, slot, is_new, score, number in zip(*part, ids, strict=True):
            session, report = passage.exemplar.session, passage.report
            if not is_new:
                state.bank.strengthen(slot, passage.exemplar)
            state.transitions.follow(session, [slot] if session is not None else [*report.slots[-1:], slot])
            waiting.append((passage, slot if is_new else None))
            report.learned = report.learned or is_new
            report.surprises.append(score)
            report.slots.append(slot)
            report.patterns.append(PatternId(number))

    def _recruit(self, new: _Placement) -> None:
        state, slots = self._state, range(new.slots[0], new.slots[-1] + 1)
        if slots.start < state.bank.count:
            state.transitions.forget_slot(slots.start)
        sizes = [passage.segments for passage in new.passages]
        exemplars = [passage.exemplar for passage in new.passages]
        state.bank.recruit(slots, _keys(new.passages), sizes, exemplars, new.scores)
        state.words.learn_many(slots, [passage.words for passage in new.passages])
        for slot, exemplar in zip(slots, exemplars, strict=True):
            state.speakers.learn(slot, exemplar.text)

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
    state: MemoryState,
    batch: Sequence[EncodedObservation],
    keys_SD: torch.Tensor,
    reports: Sequence[_Report],
    first_seq: Seq,
) -> list[_Passage]:
    """The passages of a batch, in order, with the keys of all its segments, (S, D), shared out among them."""
    groups = [group_passages(item.encoded.spans) for item in batch]
    keys = iter(keys_SD.split_with_sizes([len(segments) for passages in groups for segments in passages]))
    passages = []
    for row, (item, report, ranges) in enumerate(zip(batch, reports, groups, strict=True)):
        told, text, spans = item.observation, item.encoded.text, item.encoded.spans
        for segments in ranges:
            exemplar = Exemplar(
                text=text[spans[segments[0]][0] : spans[segments[-1]][1]],
                seq=Seq(first_seq + row),
                domain=told.domain,
                session=told.session,
                occurred_at=told.occurred_at,
                metadata=told.metadata,
            )
            words = words_of_text(exemplar.text, state.config.language)
            passages.append(_Passage(exemplar, words, next(keys), len(segments), report))
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


def _refuse_step_size(step_size: float) -> None:
    if step_size == 0.0:
        raise ReadOnly("This memory has learning rate 0 and does not learn.", hint="Fork it with a learning rate > 0.")
    if not 0.0 < step_size <= 1.0:
        raise InvalidInput(f"learning_rate {step_size:g} is not in (0, 1].", hint="Choose a value in that range.")


def _keys_to_learn(state: MemoryState, batch: Sequence[EncodedObservation]) -> torch.Tensor:
    """Keys of all segments in order, (S, D); refuses a batch that cannot be learned."""
    if not batch:
        raise InvalidInput("There is no text to learn.", hint="Send at least one non-empty text.")
    keys_SD = to_keys(state, *(item.encoded.keys_SD for item in batch))
    if not bool(np.isfinite(keys_SD.cpu().numpy()).all()):
        raise LearningFailed("The encoder gave a key that is not finite; nothing was learned.", hint="Report the text.")
    free = state.bank.units.free_count
    if state.config.saturation == "refuse" and len(keys_SD) > free:
        raise Saturated(
            f"{free} of {state.config.units} units are free and {len(keys_SD)} could be needed.",
            hint="Consolidate, or fork into a memory with more units.",
        )
    return keys_SD
