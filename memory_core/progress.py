"""How far a long operation is: told while it works, and the way to stop it between two of its steps."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from memory_core.errors import Conflict, NeuralMemoryError

OnProgress = Callable[[float, str], None]
CANCELLED: Final = "CANCELLED"
LOOK_EVERY_S: Final = 0.25
_REMEMBERED: Final = 64
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """fraction: of the work that is done, 0 to 1, never falling. phase: what is being done, one word."""

    fraction: float
    phase: str


class ProgressBoard:
    """The runs of one memory by id: one thread works, others look or cancel. A cancel may come before its run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, Progress] = {}
        self._cancelled: deque[str] = deque(maxlen=_REMEMBERED)

    @contextmanager
    def run(self, run_id: str) -> Iterator[OnProgress]:
        """What the work calls between its steps; that raises Conflict (CANCELLED) once the run was cancelled."""

        def told(fraction: float, phase: str) -> None:
            with self._lock:
                self._runs[run_id] = Progress(fraction=fraction, phase=phase)
                if run_id in self._cancelled:
                    raise cancelled()

        try:
            told(0.0, "waiting")
            yield told
        finally:
            with self._lock:
                self._runs.pop(run_id, None)

    def look(self, run_id: str) -> Progress | None:
        """How far a run is; None before its start and after its end."""
        with self._lock:
            return self._runs.get(run_id)

    def cancel(self, run_id: str) -> None:
        """Stop a run before its next step; no error when it has ended."""
        with self._lock:
            self._cancelled.append(run_id)


class Run(Protocol):
    """A long operation somewhere else: here, in a thread, or in another process."""

    async def look(self) -> Progress | None:
        """How far it is."""
        ...

    async def cancel(self) -> None:
        """Stop it before its next step."""
        ...


async def watched(work: Awaitable[_T], run: Run, on_progress: OnProgress | None) -> _T:
    """The work's result. ``on_progress`` hears of it four times a second, and once of its end.

    When the caller is cancelled, or ``on_progress`` raises, the run is cancelled and its end awaited.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_EVERY_S))[0]:
            with suppress(NeuralMemoryError):  # an owner that cannot say how far it is may still be working
                found = await run.look()
                if found is not None and on_progress is not None:
                    on_progress(found.fraction, found.phase)
    except BaseException:
        await run.cancel()
        await asyncio.wait({task})
        _ = task.cancelled() or task.exception()  # looked at, so that asyncio does not report it
        raise
    result = task.result()
    if on_progress is not None:
        on_progress(1.0, "done")
    return result


def cancelled() -> Conflict:
    """What a cancelled operation raises."""
    return Conflict("This was cancelled; nothing changed.", code=CANCELLED, hint="Start it again when it fits.")
