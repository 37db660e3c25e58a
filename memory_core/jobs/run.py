"""One run of a job from its record to its end. Where rows and keys come from is the caller's: Ray Data, or a loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress

from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import Encoder, EncoderPool
from memory_core.errors import Fenced, Internal, NeuralMemoryError
from memory_core.jobs.keeper import Keeper, OnInfo
from memory_core.jobs.plan import JobId, JobPlan, Position
from memory_core.jobs.progress import JobInfo
from memory_core.jobs.record import JobShelf
from memory_core.jobs.sources import open_rows, require_unchanged
from memory_core.jobs.teaching import PATIENCE_S, KnownKeys, Teacher
from memory_core.jobs.windows import PlacedRow, Window, windows
from memory_core.progress import CANCELLED

Stream = Callable[[JobPlan, Position], Iterator[Sequence[PlacedRow]]]
"""Rows with their keys from a position on, in pieces of ``window_items``; closed when it is not read to its end."""

OpenBackend = Callable[[EncoderPool], MemoryBackend]


async def run_job(
    shelf: JobShelf,
    job: JobId,
    open_backend: OpenBackend,
    stream: Stream,
    *,
    on_info: OnInfo | None = None,
    patience_s: float = PATIENCE_S,
) -> JobInfo:
    """Go on with a job until it has ended, and say how. Raises Fenced when another process took it over."""
    plan = await asyncio.to_thread(shelf.plan, job)
    if (await asyncio.to_thread(shelf.progress, job)).status == "succeeded":
        return await asyncio.to_thread(shelf.info, job)
    keeper = Keeper(shelf, plan, on_info)
    await keeper.begin()
    keys = KnownKeys(plan.encoder)
    backend = open_backend(keys)
    try:
        await _work(plan, Teacher(backend, keys, plan, keeper, patience_s), keeper, stream)
    except Fenced:
        raise
    except NeuralMemoryError as error:
        await keeper.end("cancelled" if error.code == CANCELLED else "failed", error)
    except Exception as error:
        # The text of a foreign error can quote an observation, so only its class is kept.
        failed = Internal(f"The job failed ({type(error).__name__}).", hint="Resume it, or report it with the log.")
        await keeper.end("failed", failed)
        raise failed from error
    else:
        await keeper.end("succeeded")
    finally:
        await backend.close()
    return keeper.info


async def _work(plan: JobPlan, teacher: Teacher, keeper: Keeper, stream: Stream) -> None:
    await asyncio.to_thread(require_unchanged, plan)
    progress = keeper.progress
    rows = stream(plan, progress.position)
    preparing = asyncio.create_task(teacher.prepare())
    try:
        async for window in _ahead(windows(plan, rows, progress.window)):
            await keeper.require_going()
            try:
                await teacher.teach(window)
            except* NeuralMemoryError as errors:
                raise _first(errors) from None
    finally:
        preparing.cancel()
        with suppress(asyncio.CancelledError):
            await preparing
        close = getattr(rows, "close", None)
        if close is not None:
            with suppress(ValueError):  # a thread is still inside it; it ends with its process
                await asyncio.to_thread(close)


async def _ahead(found: Iterator[Window]) -> AsyncIterator[Window]:
    """The windows, the next of which is being made while one is taught."""
    following = asyncio.create_task(asyncio.to_thread(next, found, None))
    try:
        while (window := await following) is not None:
            following = asyncio.create_task(asyncio.to_thread(next, found, None))
            yield window
    finally:
        with suppress(Exception):
            await following


def _first(errors: BaseExceptionGroup[NeuralMemoryError]) -> NeuralMemoryError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, NeuralMemoryError)
    return error


def rows_from(plan: JobPlan, position: Position, first_file: int, last_file: int) -> Iterator[PlacedRow]:
    """The rows of files ``first_file`` to ``last_file`` of a plan, those before the position left out."""
    for number in range(max(first_file, position.file), last_file + 1):
        skip = position.row if number == position.file else 0
        for row_number, row in enumerate(
            open_rows(plan.files[number], plan.reading, plan.allowed, skip=skip), start=skip
        ):
            yield PlacedRow(number, row_number, row)


def local_stream(encoder: Encoder) -> Stream:
    """A stream of this process alone, for tests and notebooks."""

    def stream(plan: JobPlan, position: Position) -> Iterator[Sequence[PlacedRow]]:
        piece: list[PlacedRow] = []
        for row in rows_from(plan, position, 0, len(plan.files) - 1):
            piece.append(row)
            if len(piece) == plan.window_items:
                yield _encoded(encoder, piece)
                piece = []
        if piece:
            yield _encoded(encoder, piece)

    return stream


def _encoded(encoder: Encoder, piece: Sequence[PlacedRow]) -> list[PlacedRow]:
    encoded = iter(encoder.encode([one.row.text for one in piece if one.row.problem is None]))
    return [
        one if one.row.problem is not None else PlacedRow(one.file, one.number, one.row, next(encoded)) for one in piece
    ]
