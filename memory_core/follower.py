"""A copy of a memory that another process owns, kept up from storage. Writes nothing, owns nothing.

What a follower learns is what any recovery would learn, never more: it reads frames, makes sure that they are durable,
then that nobody claimed the memory and no other head was published meanwhile, and only then learns them. So what it
serves is a true earlier state of the memory (a position that was or will be acknowledged), and a takeover can go on
from it. A state that took another one's place (restore, forget, consolidate) is noticed by its head and read anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from memory_core import engine
from memory_core.config import MemoryConfig
from memory_core.errors import CorruptData, NotFound, Unavailable
from memory_core.ids import Epoch, MemoryName, Seq
from memory_core.learner import BrokeOn, BrokeTogether, learning_broke
from memory_core.owned_memory import Clock, utc_now
from memory_core.replay import Replay
from memory_core.results import EncodedText, InferOptions, InferResult
from memory_core.state import MemoryState
from memory_core.storage import keys
from memory_core.storage.catalog import Catalog, memory_not_found
from memory_core.storage.journal import Cursor
from memory_core.storage.manifest import Head
from memory_core.storage.memory_view import MemoryView
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.records import JournalRecord
from memory_core.storage.terms_files import read_terms
from memory_core.terms import MemoryTerms

NOT_FOLLOWED_YET: Final = "NOT_FOLLOWED_YET"
Unread = list[tuple[list[JournalRecord], Cursor]]


@dataclass(frozen=True, slots=True)
class FollowedTo:
    """How far a follower is. epoch: of the writer whose head it goes on from."""

    seq: Seq
    epoch: Epoch
    at: datetime


class Follower:
    """Follows the memory that has this uid. Thread-safe; calls block."""

    def __init__(
        self, store: ObjectStore, name: MemoryName, uid: str, *, device: str = "cpu", clock: Clock = utc_now
    ) -> None:
        self._store = store
        self._view = MemoryView(store, name, uid)
        self._name = name
        self._device = device
        self._clock = clock
        self._lane = threading.Lock()
        self._state_lock = threading.Lock()
        self._replay: Replay | None = None
        self._cursor: Cursor | None = None
        self._terms = MemoryTerms()
        self._to: FollowedTo | None = None

    @property
    def position(self) -> FollowedTo | None:
        """None before the first state was read, and after it was taken."""
        return self._to

    @property
    def allocated_bytes(self) -> int:
        """Bytes that the state may come to occupy in RAM."""
        replay = self._replay
        return 0 if replay is None else replay.learner.state.allocated_bytes

    def poll(self) -> bool:
        """Catch up with storage; True when there was something new.

        NotFound when the memory was deleted, CorruptData when it cannot be read, LearningFailed when it cannot be
        learned; then the state is read anew by the next poll.
        """
        with self._lane:
            self._require_there()
            try:
                return self._catch_up()
            except BrokeOn as error:
                self._drop()
                raise learning_broke() from error

    def infer(self, query: EncodedText, options: InferOptions | None = None) -> InferResult:
        """Answer from what was followed so far, and say how far that is. Unavailable (NOT_FOLLOWED_YET)."""
        with self._looking() as (state, seq):
            found = engine.infer(state, self._name, query, options or InferOptions())
            return replace(found, seq=seq, served_by="standby")

    @property
    def config(self) -> MemoryConfig:
        """The memory's settings. Unavailable (NOT_FOLLOWED_YET)."""
        return self._required().head.config

    def take(self) -> Replay | None:
        """Give what was replayed away, for a takeover to go on from; this follower has nothing then."""
        with self._lane, self._state_lock:
            taken, self._replay = self._replay, None
            self._cursor = self._to = None
            return taken

    @contextmanager
    def _looking(self) -> Iterator[tuple[MemoryState, Seq]]:
        with self._state_lock:
            replay = self._required()
            if self._terms.expires_at is not None and self._terms.is_over(self._clock()):
                raise memory_not_found(self._name)
            yield replay.learner.state, replay.learner.seq

    def _required(self) -> Replay:
        replay = self._replay
        if replay is None:
            raise Unavailable(
                f"The standby of {self._name} has not read it yet.",
                code=NOT_FOLLOWED_YET,
                hint="Try again, or ask for the latest state.",
                retry_after_s=1.0,
            )
        return replay

    def _require_there(self) -> None:
        entry = Catalog(self._store).find(self._name)
        if entry.uid != self._view.uid:
            raise memory_not_found(self._name)
        self._terms = read_terms(self._store, self._view.uid)

    def _catch_up(self) -> bool:
        head: Head | None = None
        try:
            head = self._head_now()
            unread = list(self._view.journal_on(head, self._cursor))
            if not self._view.is_newest(head):
                return False  # its owner changes, or folds: the next poll sees what came of it
            return self._go_on(head, unread)
        except (NotFound, CorruptData):
            # What was being read may just have been pruned: then nothing is damaged.
            if head is not None and self._view.is_newest(head):
                self._drop()
                raise
            return False

    def _head_now(self) -> Head:
        """Read only when it is another one than before."""
        key = self._view.newest_head_key()
        known = None if self._replay is None else self._replay.head
        if known is not None and key == keys.head(self._view.uid, known.epoch, known.number):
            return known
        return self._view.read_head(key)

    def _go_on(self, head: Head, unread: Unread) -> bool:
        replay = self._replay
        if replay is None:
            return self._begin(head)
        if not unread and replay.head is head:
            self._note(replay)
            return False
        groups = [group for group, _ in unread]
        try:
            self._reach(replay, head)
            if not replay.leads_to(head, groups):
                return self._begin(head)
            replay.turn_to(head, groups)
            self._learn(replay, unread)
        except (BrokeOn, BrokeTogether):
            return self._begin(head)
        self._note(replay)
        return True

    def _reach(self, replay: Replay, head: Head) -> None:
        """Learn what led to a newer head of the same epoch, as far as it was not pruned: cheaper than its snapshot."""
        if replay.head.epoch == head.epoch and replay.head.runs and replay.learner.seq < head.snapshot.seq:
            with suppress(NotFound, CorruptData):
                before = list(self._view.journal_until(replay.head, head, self._cursor))
                replay.turn_to(replay.head, [group for group, _ in before])
                self._learn(replay, before)

    def _learn(self, replay: Replay, unread: Unread) -> None:
        for group, cursor in unread:
            with self._state_lock:
                replay.learn(group)
            self._cursor = cursor

    def _begin(self, head: Head) -> bool:
        """Read the state anew; the one before answers until then, unless learning broke it."""
        unread = list(self._view.journal_on(head, None))
        if not self._view.is_newest(head):
            return False
        replay = Replay.begun(self._view, head, [group for group, _ in unread], self._device)
        with self._state_lock:
            self._replay = replay
            self._cursor = unread[-1][1] if unread else None
        self._note(replay)
        return True

    def _note(self, replay: Replay) -> None:
        self._to = FollowedTo(replay.learner.seq, replay.head.epoch, self._clock())

    def _drop(self) -> None:
        with self._state_lock:
            self._replay = self._cursor = self._to = None
