"""observe: what happens to a MemoryState when a batch of encoded observations is learned.

Each segment is matched with a pattern or recruits one; then the fast weights take a step towards the patterns' codes,
once per chunk. Shapes: N segments, D key_dim, V value_dim, n patterns in use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from memory_core.encoding.words import analyze
from memory_core.errors import InvalidInput, LearningFailed, ReadOnly, Saturated
from memory_core.ids import PatternId, Seq
from memory_core.networks.codes import value_codes
from memory_core.patterns.novelty import Novelty, measure_novelty
from memory_core.patterns.word_table import WordId, word_ids
from memory_core.results import EncodedObservation, Exemplar, ObserveOutcome
from memory_core.state import MemoryState, to_keys

CHUNK: Final = 128
SURPRISE_MEMORY: Final = 0.98
ADDRESS_FREEZE_AT: Final = (16, 64, 256, 1024)


@dataclass(frozen=True, slots=True)
class _Segment:
    """One key to learn: where it came from and what it says."""

    owner: int
    exemplar: Exemplar
    words: list[WordId]
    session: str | None


@dataclass(frozen=True, slots=True)
class _Write:
    """A step that M still has to take."""

    row: int
    slot: int
    owner: int


def observe(
    state: MemoryState, batch: Sequence[EncodedObservation], *, first_seq: Seq, learning_rate: float | None = None
) -> tuple[MemoryState, tuple[ObserveOutcome, ...]]:
    """Learn a batch in order. Raises ReadOnly, Saturated, InvalidInput or LearningFailed with the state unchanged."""
    step_size = state.config.learning_rate if learning_rate is None else learning_rate
    keys_ND, segments = _segments(state, batch, first_seq)
    _refuse_what_cannot_be_learned(state, step_size, keys_ND)
    learner = _Learner(state, step_size, len(batch))
    # A full bank replaces slots, which changes what later segments are compared with: then one at a time.
    chunk = CHUNK if state.bank.count + len(segments) <= state.config.units else 1
    for start in range(0, len(segments), chunk):
        learner.learn(keys_ND[start : start + chunk], segments[start : start + chunk])
    return state, learner.outcomes(first_seq)


class _Learner:
    """One observe call: plans each segment against the bank, then writes the fast weights once per chunk."""

    def __init__(self, state: MemoryState, step_size: float, observations: int) -> None:
        self._state = state
        self._step_size = step_size
        self._surprises: list[list[float]] = [[] for _ in range(observations)]
        self._slots: list[list[int]] = [[] for _ in range(observations)]
        self._ids: list[list[PatternId]] = [[] for _ in range(observations)]
        self._delta_squares = [0.0] * observations
        self._learned = [False] * observations
        self._pending: list[_Write] = []

    def learn(self, keys_ND: torch.Tensor, segments: Sequence[_Segment]) -> None:
        """Match or recruit a pattern for each segment in order; M takes its steps when the addresses are about to move."""
        bank, known_before = self._state.bank, self._state.bank.count
        similarity_Nn = (keys_ND @ bank.keys_nD.T).cpu().numpy()
        similarity_NN = (keys_ND @ keys_ND.T).cpu().numpy()
        recruited: list[int] = []
        flushed = 0
        for row, segment in enumerate(segments):
            similarity_n = np.concatenate([similarity_Nn[row], similarity_NN[row, recruited]])
            slot, is_new = self._place(keys_ND[row], segment, similarity_n)
            if is_new:
                recruited.append(row)
                self._pending.append(_Write(row, slot, segment.owner))
                if slot == bank.count - 1 >= known_before:
                    similarity_n = np.append(similarity_n, 1.0)
                bank.crowd(slot, similarity_n)
            if is_new and bank.next_pattern_id in ADDRESS_FREEZE_AT:
                self._flush(keys_ND, slice(flushed, row + 1))
                flushed = row + 1
                self._readdress()
        self._flush(keys_ND, slice(flushed, len(segments)))

    def outcomes(self, first_seq: Seq) -> tuple[ObserveOutcome, ...]:
        """Finish the call: link what was seen in order, count, and report per observation."""
        outcomes = []
        for position, surprises in enumerate(self._surprises):
            mean = sum(surprises) / len(surprises)
            self._state.surprise_recent += (1 - SURPRISE_MEMORY) * (mean - self._state.surprise_recent)
            outcomes.append(
                ObserveOutcome(
                    seq=Seq(first_seq + position),
                    surprise=mean,
                    weight_delta=math.sqrt(self._delta_squares[position]),
                    learned=self._learned[position],
                    patterns_activated=tuple(dict.fromkeys(self._ids[position])),
                )
            )
        self._state.observation_count += len(outcomes)
        return tuple(outcomes)

    def _place(self, key_D: torch.Tensor, segment: _Segment, similarity_n: np.ndarray) -> tuple[int, bool]:
        state, bank = self._state, self._state.bank
        novelty = measure_novelty(similarity_n, bank.column("crowding_U"), state.words, segment.words)
        self._surprises[segment.owner].append(novelty.score)
        is_new = novelty.score >= state.config.surprise_gate or not bank.has_room_for(novelty.nearest, segment.exemplar)
        slot = self._recruit(key_D, segment, novelty) if is_new else novelty.nearest
        if not is_new:
            bank.strengthen(slot, segment.exemplar)
        chain = [*self._slots[segment.owner][-1:], slot]
        state.transitions.follow(segment.session, [slot] if segment.session is not None else chain)
        self._slots[segment.owner].append(slot)
        self._ids[segment.owner].append(PatternId(bank.pattern_id(slot)))
        return slot, is_new

    def _recruit(self, key_D: torch.Tensor, segment: _Segment, novelty: Novelty) -> int:
        state = self._state
        if state.bank.is_full:
            state.transitions.forget_slot(state.bank.weakest_slot())
        slot = state.bank.recruit(key_D, segment.exemplar, novelty.score)
        state.words.learn(slot, segment.words)
        self._learned[segment.owner] = True
        return slot

    def _flush(self, keys_ND: torch.Tensor, rows: slice) -> None:
        """Count the keys of ``rows`` and take the pending steps on M."""
        state, pending = self._state, self._pending
        state.precision.learn(keys_ND[rows])
        if not pending:
            return
        chosen = torch.tensor([write.row for write in pending], device=state.device)
        ids = np.array([state.bank.pattern_id(write.slot) for write in pending])
        values_NV = value_codes(ids, state.config.key_dim, state.config.seed).to(state.device)
        state.fast_weights, _, norms_N = state.network.update(
            state.fast_weights, state.address_keys(keys_ND[chosen]), values_NV, self._step_size
        )
        for write, norm in zip(pending, norms_N.tolist(), strict=True):
            self._delta_squares[write.owner] += norm**2
        pending.clear()

    def _readdress(self) -> None:
        """Early on the mean of the keys is a guess: at fixed sizes take the measured one and rehearse all patterns."""
        state = self._state
        state.address_mean_D = (state.precision.sum_D / state.precision.count).clone()
        state.fast_weights, _, _ = state.network.update(
            state.network.initial(), state.address_keys(state.bank.keys_nD), state.codes(), 1.0
        )


def _segments(
    state: MemoryState, batch: Sequence[EncodedObservation], first_seq: Seq
) -> tuple[torch.Tensor, list[_Segment]]:
    segments = []
    for owner, item in enumerate(batch):
        told, text = item.observation, item.encoded.text
        for start, end in item.encoded.spans:
            exemplar = Exemplar(
                text=text[start:end],
                seq=Seq(first_seq + owner),
                domain=told.domain,
                session=told.session,
                occurred_at=told.occurred_at,
                metadata=told.metadata,
            )
            words = word_ids(analyze(exemplar.text, state.config.language))
            segments.append(_Segment(owner, exemplar, words, told.session))
    keys = [item.encoded.keys_SD for item in batch]
    if not keys or any(len(item.encoded.spans) == 0 for item in batch):
        raise InvalidInput("An observation has no text to learn.", hint="Send at least one non-empty text.")
    return to_keys(state, np.concatenate(keys)), segments


def _refuse_what_cannot_be_learned(state: MemoryState, step_size: float, keys_ND: torch.Tensor) -> None:
    if step_size == 0.0:
        raise ReadOnly("This memory has learning rate 0 and does not learn.", hint="Fork it with a learning rate > 0.")
    if not 0.0 < step_size <= 1.0:
        raise InvalidInput(f"learning_rate {step_size:g} is not in (0, 1].", hint="Choose a value in that range.")
    if not bool(torch.isfinite(keys_ND).all()):
        raise LearningFailed("The encoder gave a key that is not finite; nothing was learned.", hint="Report the text.")
    if state.config.saturation == "refuse" and state.bank.count + len(keys_ND) > state.config.units:
        raise Saturated(
            f"{state.bank.count} of {state.config.units} units are used and {len(keys_ND)} more could be needed.",
            hint="Consolidate, or fork into a memory with more units.",
        )
