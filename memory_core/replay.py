"""A head's state with the journal behind it learned: the one way from storage to a state.

Whoever claimed a memory recovers it so, and whoever only follows one goes on so, group by group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memory_core.learner import BrokeTogether, Learner, Marks
from memory_core.lifecycle.answers import AnswerTable
from memory_core.storage.manifest import Head
from memory_core.storage.memory_view import MemoryView
from memory_core.storage.records import JournalRecord
from memory_core.stored_states import load_state

Groups = Sequence[Sequence[JournalRecord]]


@dataclass(slots=True)
class Replay:
    """How far the journal behind ``head`` was learned. Used by one thread at a time."""

    head: Head
    learner: Learner
    marks: Marks

    @classmethod
    def begun(cls, view: MemoryView, head: Head, groups: Groups, device: str = "cpu") -> Replay:
        """From the head's snapshot. A replay may be the first to learn a group, and break on it: then it is learned
        one by one, for ever. Raises BrokeOn, NotFound or CorruptData."""
        marks = marks_of(head, groups)
        while True:
            try:
                return cls(head, replayed(view, head, groups, marks, device), marks)
            except BrokeTogether as error:
                group = next(group for group in groups if group[0].first_seq <= error.first_seq <= group[-1].last_seq)
                marks = replace(marks, singly=marks.singly | {group[0].first_seq})

    def leads_to(self, head: Head, unread: Groups) -> bool:
        """True when the state behind ``head`` is this one and ``unread`` learned: it was folded, or sealed again.

        A state that took another one's place, or was marked to have been learned otherwise, is none of these.
        """
        marks = self._with(head, unread)
        new = (marks.skipped - self.marks.skipped) | (marks.singly - self.marks.singly)
        if any(seq <= self.learner.seq for seq in new):
            return False
        mine, other = self.head.snapshot, head.snapshot
        if (mine.seq, mine.weight_hash, mine.lineage) == (other.seq, other.weight_hash, other.lineage):
            return True
        is_there = (self.learner.seq, self.learner.lineage) == (other.seq, other.lineage)
        return is_there and self.learner.state.weight_hash() == other.weight_hash

    def turn_to(self, head: Head, unread: Groups) -> None:
        """Go on behind a head that this ``leads_to``."""
        self.marks = self._with(head, unread)
        self.head = head

    def learn(self, group: Sequence[JournalRecord]) -> None:
        """The next group. Raises BrokeOn or BrokeTogether, with the state of no use any more."""
        self.learner.replay(group, self.marks)

    def _with(self, head: Head, unread: Groups) -> Marks:
        told = marks_of(head, unread)
        return Marks(self.marks.skipped | told.skipped, self.marks.singly | told.singly)


def replayed(view: MemoryView, head: Head, groups: Groups, marks: Marks, device: str) -> Learner:
    """A head's snapshot with groups of the journal that follows it learned. Raises BrokeOn or BrokeTogether."""
    snapshot, answers = head.snapshot, AnswerTable()
    if head.answers is not None:
        answers = AnswerTable.from_json(view.read_bytes(head.answers))
    state = load_state(view.store, head.config, snapshot, device, of=view.name)
    learner = Learner(state, snapshot.seq, snapshot.lineage, answers)
    for group in groups:
        learner.replay(group, marks)
    return learner


def marks_of(head: Head, groups: Groups) -> Marks:
    """What a head and groups of its journal say about records."""
    return Marks(frozenset(head.skipped), frozenset(head.singly)).with_journal(groups)
