"""Teaching one window after the other through a MemoryBackend: each request once, whatever dies in between.

A part is sent under a request id that follows from its place in the source. After a crash the parts that the record
does not call finished are sent again: the memory answers those it has learned from its journal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import EncoderInfo
from memory_core.errors import (
    Conflict,
    InvalidInput,
    LearningFailed,
    NeuralMemoryError,
    NotFound,
    ReadOnly,
    Saturated,
    TooLarge,
)
from memory_core.ids import EncoderId, MemoryName, parse_memory_name
from memory_core.jobs.keeper import Keeper
from memory_core.jobs.plan import JobPlan
from memory_core.jobs.progress import Failure, PartResult
from memory_core.jobs.windows import Part, PlacedRow, Window
from memory_core.results import EncodedText, ObserveOptions, ObserveResult
from memory_core.storage.object_store import STORAGE_FULL

_T = TypeVar("_T")
MEMORIES_AT_ONCE: Final = 16
PATIENCE_S: Final = 180.0
_PAUSE_FIRST_S: Final = 0.25
_PAUSE_MAX_S: Final = 5.0
# What is wrong with a memory or a request, and not with the job, when each row names its own memory.
_REJECTED: Final = (NotFound, InvalidInput, TooLarge, LearningFailed, ReadOnly, Saturated)


class KnownKeys:
    """EncoderPool of texts whose keys were made elsewhere: those of the window that is being taught."""

    def __init__(self, info: EncoderInfo) -> None:
        self._info = info
        self._by_text: dict[str, EncodedText] = {}

    def hold(self, window: Window) -> None:
        """Know the keys of a window, and forget those before."""
        self._by_text = {one.row.text: one.encoded for one in window.rows if one.encoded is not None}

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        """See EncoderPool."""
        if encoder != self._info.encoder_id:
            raise InvalidInput(
                f"The memory reads with the encoder {encoder}, and the job writes with {self._info.encoder_id}.",
                code="ENCODER_MISMATCH",
                hint="Make one job for each encoder.",
            )
        return self._info

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        """See EncoderPool."""
        await self.describe(encoder)
        return [self._by_text[text] for text in texts]


class Teacher:
    """Teaches the windows of one job. ``keeper``: its record."""

    def __init__(
        self, backend: MemoryBackend, keys: KnownKeys, plan: JobPlan, keeper: Keeper, patience_s: float = PATIENCE_S
    ) -> None:
        self._backend = backend
        self._keys = keys
        self._plan = plan
        self._keeper = keeper
        self._patience_s = patience_s
        self._made: set[MemoryName] = set()

    async def prepare(self) -> None:
        """Have the memory of the job made and loaded while the first rows are read. What fails will fail again."""
        name = None if self._plan.memory is None else self._plan.stored(self._plan.memory)
        if name is not None:
            with suppress(Exception):
                await self._make(name)
                await self._backend.stats(name)

    async def teach(self, window: Window) -> None:
        """All parts of a window; the record says so before it returns. Raises what ends the job."""
        self._keys.hold(window)
        at_once = asyncio.Semaphore(MEMORIES_AT_ONCE)

        async def one_memory(parts: Sequence[Part]) -> None:
            async with at_once:
                for part in parts:
                    await self._keeper.require_going()
                    if part.key not in self._keeper.progress.done:
                        await self._keeper.finish(part.key, await self._teach(window.number, part))

        async with asyncio.TaskGroup() as group:
            for parts in window.parts:
                group.create_task(one_memory(parts))
        await self._keeper.finish_window(window, self._failures(window))

    async def _teach(self, window: int, part: Part) -> PartResult:
        try:
            name = self._plan.stored(parse_memory_name(part.memory))
            if name is None:
                return _rejected(part, "the memory is not one that this key may teach")
            await self._make(name)
            kept = await self._gate(name, part)
            result = await self._observe(name, window, part, kept) if kept else None
        except _REJECTED as error:
            if self._plan.memory is not None and not isinstance(error, LearningFailed):
                raise
            return _rejected(part, error.message)
        except Conflict as error:
            if self._plan.memory is not None or error.code != "ENCODER_MISMATCH":
                raise
            return _rejected(part, error.message)
        surprise_sum = sum(outcome.surprise for outcome in result.outcomes) if result else 0.0
        return PartResult(learned=len(kept), skipped=len(part.rows) - len(kept), surprise_sum=surprise_sum)

    async def _make(self, name: MemoryName) -> None:
        """Create the memory if the job makes those that are missing."""
        config = self._plan.config
        if config is None or name in self._made:
            return
        try:
            await self._patiently(lambda: self._backend.create(name, config))
        except Conflict as error:
            if error.code != "MEMORY_EXISTS":
                raise
        self._made.add(name)

    async def _gate(self, name: MemoryName, part: Part) -> list[int]:
        """Which rows are new enough. Noted before they are taught: afterwards they would all be known."""
        if self._plan.min_surprise is None:
            return list(range(len(part.rows)))
        noted = self._keeper.progress.pending.get(part.key)
        if noted is not None:
            return noted
        texts = [one.row.text for one in part.rows]
        scores = await self._patiently(lambda: self._backend.surprise(name, texts))
        first = {_spelled(text): row for row, text in reversed(list(enumerate(texts)))}
        kept = [
            row
            for row, (text, score) in enumerate(zip(texts, scores, strict=True))
            if score.score >= self._plan.min_surprise and first[_spelled(text)] == row
        ]
        await self._keeper.note(part.key, kept)
        return kept

    async def _observe(self, name: MemoryName, window: int, part: Part, kept: Sequence[int]) -> ObserveResult:
        observations = part.observations(self._plan.domain)
        options = ObserveOptions(request_id=self._plan.request_id(window, part.key))
        return await self._patiently(lambda: self._backend.observe(name, [observations[row] for row in kept], options))

    async def _patiently(self, work: Callable[[], Awaitable[_T]]) -> _T:
        give_up_at_s, pause_s = time.monotonic() + self._patience_s, _PAUSE_FIRST_S
        while True:
            try:
                return await work()
            except NeuralMemoryError as error:
                is_hopeless = not error.retryable or error.code == STORAGE_FULL
                if is_hopeless or time.monotonic() + pause_s > give_up_at_s:
                    raise
                await self._keeper.require_going()
                await asyncio.sleep(max(pause_s, min(error.retry_after_s or 0.0, _PAUSE_MAX_S)))
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    def _failures(self, window: Window) -> list[Failure]:
        """Rows of a finished window that were not taught, in their order."""
        reasons = {(one.file, one.number): one.row.problem or "" for one in window.bad}
        for part in (part for parts in window.parts for part in parts):
            refusal = self._keeper.progress.done[part.key].refusal
            if refusal is not None:
                reasons.update({(one.file, one.number): refusal for one in part.rows})
        return [self._failure(one, reasons[one.file, one.number]) for one in window.rows if _place(one) in reasons]

    def _failure(self, one: PlacedRow, reason: str) -> Failure:
        return Failure(file=self._plan.files[one.file].url, line=one.row.line, reason=reason)


def _place(one: PlacedRow) -> tuple[int, int]:
    return one.file, one.number


def _rejected(part: Part, reason: str) -> PartResult:
    return PartResult(rejected=len(part.rows), refusal=reason)


def _spelled(text: str) -> str:
    return " ".join(text.casefold().split())
