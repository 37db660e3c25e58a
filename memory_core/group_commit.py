"""Many waiting callers, one disk sync.

The first caller commits at once; whoever arrives meanwhile waits and is committed together with all others that
wait, by the first of them. So the group grows with the load. A group may wait, for a bounded time, until as many are
there as came together last time: callers that have just been answered are about to be back. A lone caller never waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from memory_core.errors import Internal

R = TypeVar("R")
A = TypeVar("A")


class Waiting(Generic[R, A]):
    """One caller's request until it is answered or refused. The first of both counts."""

    def __init__(self, request: R) -> None:
        self.request = request
        self._turn = threading.Event()
        self._answer: A | None = None
        self._error: BaseException | None = None
        self._is_settled = False

    @property
    def is_settled(self) -> bool:
        """True once the caller has an answer or an error."""
        return self._is_settled

    def answer(self, answer: A) -> None:
        """Let the caller go with an answer."""
        if not self._is_settled:
            self._answer, self._is_settled = answer, True
            self._turn.set()

    def refuse(self, error: BaseException) -> None:
        """Let the caller go with an error."""
        if not self._is_settled:
            self._error, self._is_settled = error, True
            self._turn.set()

    def lead(self) -> None:
        """Wake the caller to commit the next group."""
        self._turn.set()

    def wait(self) -> None:
        """Until it is settled or has to lead."""
        self._turn.wait()

    def result(self) -> A:
        """The answer of a settled request, or its error raised."""
        if self._error is not None:
            raise self._error
        if self._answer is None:
            raise Internal("A request was let go without an answer.")
        return self._answer


class GroupCommit(Generic[R, A]):
    """Calls ``commit`` with one group at a time, never two at once; ``commit`` settles every member."""

    def __init__(
        self, commit: Callable[[list[Waiting[R, A]]], None], group_max: int = 256, delay_s: float = 0.0
    ) -> None:
        self._commit = commit
        self._group_max = group_max
        self._delay_s = delay_s
        self._last_size = 1
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._queue: deque[Waiting[R, A]] = deque()
        self._is_led = False

    def submit(self, request: R) -> A:
        """Blocks until the request is committed; raises what the commit refused it with."""
        waiting: Waiting[R, A] = Waiting(request)
        with self._lock:
            self._queue.append(waiting)
            self._arrived.notify()
            leads, self._is_led = not self._is_led, True
        if not leads:
            waiting.wait()
        if not waiting.is_settled:
            self._commit_next_group()
        return waiting.result()

    def _commit_next_group(self) -> None:
        with self._lock:
            self._arrived.wait_for(lambda: len(self._queue) >= self._last_size, self._delay_s)
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._group_max))]
            self._last_size = len(group)
        try:
            self._commit(group)
        except BaseException as error:
            _refuse_all(group, error)
            if not isinstance(error, Exception):
                raise
        else:
            _refuse_all(group, Internal("A commit left a request unsettled."))
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            if self._queue:
                self._queue[0].lead()
            else:
                self._is_led = False


def _refuse_all(group: list[Waiting[R, A]], error: BaseException) -> None:
    for waiting in group:
        waiting.refuse(error)
