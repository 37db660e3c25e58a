"""How journal records move a state: the one way, live and in a replay, so that both lead to the same bits.

Records that became durable together are learned together, which costs less than learning them one by one. A group is
cut into batches by its content alone, so a replay of the journal's frames cuts alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from memory_core import engine
from memory_core.errors import InvalidInput, LearningFailed, ReadOnly, Saturated
from memory_core.ids import Seq
from memory_core.lifecycle.answers import Answer, AnswerTable, Refusal
from memory_core.observe_request import content_digest
from memory_core.results import ObserveOutcome
from memory_core.state import MemoryState
from memory_core.storage.lineage import Lineage, advanced
from memory_core.storage.records import JournalRecord

# Readers wait while a batch is learned.
BATCH_OBSERVATIONS: Final = 64


class BrokeOn(Exception):
    """The learning step itself broke, a bug, on one record; the state it was given is lost."""

    def __init__(self, record: JournalRecord) -> None:
        super().__init__(f"position {record.first_seq}")
        self.record = record


class BrokeTogether(Exception):
    """Learning a group as batches broke; the state it was given is lost. One by one it may still be learned."""

    def __init__(self, first_seq: Seq) -> None:
        super().__init__(f"position {first_seq}")
        self.first_seq = first_seq


@dataclass(frozen=True, slots=True)
class Marks:
    """What the journal says about its own records, by first position.

    skipped: records on which learning broke, never applied. singly: groups that are learned one by one, because
    learning them together broke.
    """

    skipped: frozenset[Seq] = frozenset()
    singly: frozenset[Seq] = frozenset()

    def with_journal(self, groups: Sequence[Sequence[JournalRecord]]) -> Marks:
        """These and what the groups of a journal say."""
        records = [record for group in groups for record in group]
        return Marks(
            self.skipped | {record.skipped_seq for record in records if record.skipped_seq is not None},
            self.singly | {record.singly_seq for record in records if record.singly_seq is not None},
        )


class Learner:
    """A state with its position, its history and the first answers. Used by one thread at a time."""

    def __init__(self, state: MemoryState, seq: Seq, lineage: Lineage, answers: AnswerTable) -> None:
        self.state = state
        self.seq = seq
        self.lineage = lineage
        self.answers = answers

    def replay(self, group: Sequence[JournalRecord], marks: Marks) -> None:
        """Learn a group of the journal as it was learned. Raises BrokeOn or BrokeTogether."""
        told = [record for record in group if record.observations]
        is_singly = any(record.first_seq in marks.skipped or record.first_seq in marks.singly for record in told)
        if not is_singly:
            for batch in batches(told):
                self.learn(batch)
            return
        for record in told:
            if record.first_seq in marks.skipped:
                self._pass_over(record)
            else:
                self.learn_one(record)

    def learn(self, batch: Sequence[JournalRecord]) -> list[Answer]:
        """Learn one of the ``batches`` of a group. Raises BrokeOn or BrokeTogether."""
        if len(batch) == 1:
            return [self.learn_one(batch[0])]
        count_before = self.state.observation_count
        try:
            self.state, outcomes = engine.observe(
                self.state,
                [item for record in batch for item in record.observations],
                first_seq=batch[0].first_seq,
                learning_rate=batch[0].learning_rate,
            )
        except (ReadOnly, Saturated, InvalidInput):
            # Refused before anything changed; each record for itself may well fit.
            return [self.learn_one(record) for record in batch]
        except Exception as error:
            raise BrokeTogether(batch[0].first_seq) from error
        return [
            self._answer(record, outcomes[start:end], count_before + end) for record, start, end in _with_rows(batch)
        ]

    def learn_one(self, record: JournalRecord) -> Answer:
        """Learn one record; a refusal by the learning step is its answer and changes nothing. Raises BrokeOn."""
        refusal: Refusal | None = None
        outcomes: tuple[ObserveOutcome, ...] = ()
        try:
            self.state, outcomes = engine.observe(
                self.state, record.observations, first_seq=record.first_seq, learning_rate=record.learning_rate
            )
        except (ReadOnly, Saturated, InvalidInput) as error:
            refusal = Refusal.of(error)
        except Exception as error:
            # Also LearningFailed: a step that is not finite is noticed after patterns were placed.
            raise BrokeOn(record) from error
        return self._answer(record, outcomes, self.state.observation_count, refusal)

    def _pass_over(self, record: JournalRecord) -> None:
        self._answer(record, (), self.state.observation_count, Refusal.of(learning_broke()))

    def _answer(
        self,
        record: JournalRecord,
        outcomes: tuple[ObserveOutcome, ...],
        observation_count: int,
        refusal: Refusal | None = None,
    ) -> Answer:
        """Move on to the record's last position and remember its answer."""
        self.seq = record.last_seq
        self.lineage = advanced(self.lineage, record.last_seq, observation_count)
        answer = Answer(
            digest=content_digest(record.observations, record.learning_rate) if record.request_id else "",
            outcomes=outcomes,
            capacity_used=engine.capacity_used(self.state),
            observation_count=observation_count,
            refusal=refusal,
        )
        if record.request_id:
            self.answers.remember(record.request_id, answer)
        return answer


def batches(group: Sequence[JournalRecord]) -> Iterator[list[JournalRecord]]:
    """A group cut into neighbours with one learning rate and few observations, or one record with many."""
    batch: list[JournalRecord] = []
    size = 0
    for record in group:
        is_over = size + len(record.observations) > BATCH_OBSERVATIONS
        if batch and (is_over or record.learning_rate != batch[0].learning_rate):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.observations)
    if batch:
        yield batch


def cut_group(group: Sequence[JournalRecord], last_seq: Seq) -> list[JournalRecord]:
    """What of a group lies at positions up to ``last_seq``; a request may lose its later observations."""
    return [
        JournalRecord(
            first_seq=record.first_seq,
            request_id=record.request_id if record.last_seq <= last_seq else None,
            learning_rate=record.learning_rate,
            observations=record.observations[: last_seq - record.first_seq + 1],
        )
        for record in group
        if record.observations and record.first_seq <= last_seq
    ]


def learning_broke() -> LearningFailed:
    """The answer to a request on which the learning step itself broke."""
    return LearningFailed(
        "Learning failed on this request, and it was left out.",
        hint="Report this; the memory is as if the request had never been sent.",
    )


def _with_rows(batch: Sequence[JournalRecord]) -> Iterator[tuple[JournalRecord, int, int]]:
    """Each record with the first and the end of its rows in the batch."""
    end = 0
    for record in batch:
        start, end = end, end + len(record.observations)
        yield record, start, end
