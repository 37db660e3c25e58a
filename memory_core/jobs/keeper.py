"""Keeps one run's record: what is finished becomes durable soon, what must not be forgotten before it is acted on.

Many parts finish beside each other; whoever waits for the record to be durable shares one write with the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from memory_core.errors import Conflict, NeuralMemoryError, TooLarge
from memory_core.jobs.plan import JobPlan
from memory_core.jobs.progress import EXAMPLES_MAX, Failure, JobInfo, JobProgress, PartResult, Status, plain_error, told
from memory_core.jobs.record import JobShelf
from memory_core.jobs.windows import Window
from memory_core.progress import CANCELLED

WRITE_EVERY_S: Final = 0.5
BEAT_S: Final = 5.0
_LOOK_EVERY_S: Final = 1.0
_TOO_MANY_ERRORS: Final = "TOO_MANY_ERRORS"

OnInfo = Callable[[JobInfo], None]


class Keeper:
    """The record of a run. Use from one event loop, between ``begin`` and ``end``."""

    def __init__(self, shelf: JobShelf, plan: JobPlan, on_info: OnInfo | None = None) -> None:
        self.progress = JobProgress()
        self._shelf = shelf
        self._plan = plan
        self._on_info = on_info
        self._is_dirty = False
        self._lock = asyncio.Lock()
        self._written_s = self._counted_s = time.monotonic()
        self._stop: NeuralMemoryError | None = None
        self._watch: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Claim the job and take up its record."""
        job = self._plan.job_id
        run = await asyncio.to_thread(self._shelf.claim, job)
        self.progress = await asyncio.to_thread(self._shelf.progress, job)
        if (self.progress.error or {}).get("code") == _TOO_MANY_ERRORS:
            self.progress.pardoned = self.progress.rejected
        self.progress.run, self.progress.status, self.progress.error = run, "running", None
        self._counted_s = time.monotonic()
        await self._flush()
        self._watch = asyncio.create_task(self._look_forever())

    async def end(self, status: Status, error: NeuralMemoryError | None = None) -> None:
        """Write the end of the run. When even that fails, a failed one counts as interrupted after a while."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        self.progress.status = status
        self.progress.error = None if error is None else plain_error(error)
        with suppress(*(() if error is None else (NeuralMemoryError,))):
            await self._flush()
        self._tell()

    @property
    def info(self) -> JobInfo:
        """The job as people see it."""
        return told(self._plan, self.progress, datetime.now(UTC))

    async def require_going(self) -> None:
        """Raise Conflict (CANCELLED) or Fenced when this run has to stop."""
        if self._stop is not None:
            raise self._stop

    async def note(self, part: str, kept: Sequence[int]) -> None:
        """Which rows of a part go through the gate; durable when it returns."""
        self.progress.pending[part] = list(kept)
        await self._flush()

    async def finish(self, part: str, result: PartResult) -> None:
        """A part was dealt with; durable soon."""
        self.progress.done[part] = result
        self.progress.pending.pop(part, None)
        self._is_dirty = True
        self._tell()
        if time.monotonic() - self._written_s > WRITE_EVERY_S:
            await self._flush()

    async def finish_window(self, window: Window, failures: Sequence[Failure]) -> None:
        """All parts of a window were dealt with. TooLarge (TOO_MANY_ERRORS) once too many rows were rejected."""
        now = self.progress
        await asyncio.to_thread(self._shelf.write_rejects, self._plan.job_id, window.number, failures)
        now.items += len(window.rows)
        now.learned += sum(one.learned for one in now.done.values())
        now.skipped += sum(one.skipped for one in now.done.values())
        now.surprise_sum += sum(one.surprise_sum for one in now.done.values())
        now.rejected += len(failures)
        now.examples.extend(failures[: EXAMPLES_MAX - len(now.examples)])
        last = window.rows[-1]
        now.bytes_done = sum(file.size_bytes for file in self._plan.files[: last.file]) + min(
            last.row.end, self._plan.files[last.file].size_bytes
        )
        now.done, now.pending = {}, {}
        now.window, now.position = window.number + 1, window.next_position
        self._is_dirty = True
        self._tell()
        if time.monotonic() - self._written_s > WRITE_EVERY_S:
            await self._flush()
        if self._plan.max_errors is not None and now.rejected - now.pardoned > self._plan.max_errors:
            raise _too_many(now.rejected - now.pardoned, self._plan.max_errors)

    def _tell(self) -> None:
        if self._on_info is not None:
            self._count()
            self._on_info(self.info)

    def _count(self) -> None:
        now_s = time.monotonic()
        self.progress.busy_s += now_s - self._counted_s
        self._counted_s = now_s

    async def _flush(self) -> None:
        """Durable when it returns. A write goes on when its caller is cancelled: a later one must not overtake it."""
        self._is_dirty = True
        await asyncio.shield(asyncio.create_task(self._write()))

    async def _write(self) -> None:
        async with self._lock:
            if not self._is_dirty:
                return
            self._is_dirty = False
            self._count()
            self.progress.updated_at = datetime.now(UTC).isoformat()
            await asyncio.to_thread(self._shelf.require_newest, self._plan.job_id, self.progress.run)
            await asyncio.to_thread(self._shelf.write, self._plan.job_id, self.progress)
            self._written_s = time.monotonic()

    async def _look_forever(self) -> None:
        """See whether the job was cancelled or taken over, and say that somebody works on it."""
        while self._stop is None:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                if await asyncio.to_thread(self._shelf.is_cancelled, self._plan.job_id):
                    self._stop = _cancelled()
                if time.monotonic() - self._written_s > BEAT_S:
                    await self._flush()
            except NeuralMemoryError as error:
                if not error.retryable or error.code == "JOB_TAKEN_OVER":
                    self._stop = error


def _cancelled() -> Conflict:
    return Conflict("The job was cancelled; what it taught stays.", code=CANCELLED, hint="Resume it to go on.")


def _too_many(rejected: int, allowed: int) -> TooLarge:
    return TooLarge(
        f"{rejected} rows were rejected; {allowed} are allowed.",
        code=_TOO_MANY_ERRORS,
        hint="See the rejects; when they do not matter, resume the job: it may reject as many again.",
    )
