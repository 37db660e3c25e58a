"""One memory inside a host: at most one writer at a time, opened by the first call, given up when asked. Ray-free.

Lives on its host's event loop; blocking work runs in the host's threads, all but short questions that need not wait.
A write is shielded: once accepted it finishes, also when its caller is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from memory_core.errors import Conflict, Fenced, NeuralMemoryError, Overloaded, Unavailable
from memory_core.ids import MemoryName
from memory_core.results import EncodedText

if TYPE_CHECKING:
    from memory_core.config import MemoryConfig
    from memory_core.writer import MemoryWriter

WRITES_PENDING_MAX: Final = 256
WRITER_ENDED: Final = "WRITER_ENDED"
_WRITES_AT_ONCE: Final = 16
_WRITE_THREADS: Final = 128
_READ_THREADS: Final = 8
_MOVE_THREADS: Final = 4
# All of them want the state's lock for all of their time: more threads would only hinder the one that has it.
_QUESTIONS: Final = frozenset({"infer", "surprise", "predict_next", "attention_map", "explain"})
# For so long a question may keep the host's other memories waiting. A thread costs about a millisecond.
_SHORT_S: Final = 0.025

_log = logging.getLogger(__name__)

OpenWriter = Callable[[], "MemoryWriter"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """What a call says about the memory it is for. A pinned one is not passivated."""

    uid: str
    name: MemoryName
    is_pinned: bool = False


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads that the memories of a host share. Writers mostly wait for one disk sync, so there are many."""

    writes: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_WRITE_THREADS, "write"))
    reads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_READ_THREADS, "read"))
    moves: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_MOVE_THREADS, "move"))


class Resident:
    """A memory that a host holds. Methods raise NeuralMemoryError subclasses; anything else is a bug."""

    def __init__(self, tenant: Tenant, open_writer: OpenWriter, threads: Threads) -> None:
        self.tenant = tenant
        self.size_bytes = 0
        self.in_use = 0
        self.last_used_s = time.monotonic()
        self.leaving: asyncio.Task[None] | None = None
        self._open_writer = open_writer
        self._threads = threads
        # Of the group commits of one memory; the rest of the threads is for its neighbours.
        self._at_once = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._asking = asyncio.Lock()
        # Seconds that the last question of each kind took: by its method and how much it asks, within a factor of two.
        self._took_s: dict[tuple[str, int], float] = {}
        self._pending_writes = 0
        self._fenced: Fenced | None = None
        self._opening: asyncio.Task[MemoryWriter] | None = None
        self.capacity_used = 0.0

    @property
    def _open_writer_now(self) -> MemoryWriter | None:
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
            return None
        return opening.result() if opening.result().is_usable else None

    @property
    def epoch(self) -> int | None:
        """Of its writer; None while there is none."""
        return None if self._open_writer_now is None else self._open_writer_now.epoch

    @property
    def seq(self) -> int | None:
        """The last position learned; None while there is no writer."""
        return None if self._open_writer_now is None else self._open_writer_now.seq

    @property
    def journal_lag(self) -> int:
        """Journal records that no snapshot holds yet."""
        return 0 if self._open_writer_now is None else self._open_writer_now.journal_lag

    @property
    def is_idle(self) -> bool:
        """True when no call, accepted write or departure is under way."""
        return not self.in_use and not self._pending_writes and self.leaving is None

    async def read(self, method: str, args: tuple[Any, ...], options: dict[str, Any], fingerprint: str | None) -> Any:
        """Call a method of the writer that changes no state."""
        writer = await self._writer()
        require_same_encoder(writer.name, writer.config, fingerprint)
        work = partial(getattr(writer, method), *args, **options)
        if method not in _QUESTIONS:
            return await _in_thread(self._threads.reads, work)
        return await self._ask(writer, (method, _size(args).bit_length()), work)

    async def _ask(self, writer: MemoryWriter, kind: tuple[str, int], work: Callable[[], Any]) -> Any:
        """Answer a question: right here when its kind is short and the state free, else by a thread, in turn."""

        def timed() -> Any:
            began_s = time.perf_counter()
            answer = work()
            self._took_s[kind] = time.perf_counter() - began_s
            return answer

        if self._took_s.get(kind, _SHORT_S) < _SHORT_S and not self._asking.locked():
            with writer.held_if_free() as is_held:
                if is_held:
                    return timed()
        async with self._asking:
            return await _in_thread(self._threads.reads, timed)

    async def write(self, method: str, args: tuple[Any, ...], options: dict[str, Any], fingerprint: str | None) -> Any:
        """Call a method of the writer that changes the memory; Overloaded when too many wait."""
        if self._pending_writes >= WRITES_PENDING_MAX:
            raise Overloaded(
                f"{self._pending_writes} writes wait for {self.tenant.name}.",
                hint="Send fewer at once.",
                retry_after_s=1.0,
            )
        # Counted here, before anything is awaited, and uncounted by the task, which outlives a cancelled caller.
        self._pending_writes += 1
        return await asyncio.shield(asyncio.create_task(self._write(method, args, options, fingerprint)))

    async def open(self) -> None:
        """Have a writer: the memory's next epoch is claimed and what is durable recovered."""
        await self._writer()

    async def keep_time(self) -> None:
        """Have a version published if one is due by time. What fails over it is logged: nobody waits for it."""
        if self._opening is None or not self._opening.done() or _has_ended(self._opening):
            return
        try:
            await _in_thread(self._threads.moves, self._opening.result().keep_time)
        except Fenced as error:
            self._fenced = error
        except NeuralMemoryError as error:
            _log.warning("Memory %s could not publish a version (%s).", self.tenant.name, error.code)

    async def close(self, *, must_fold: bool) -> None:
        """Give the memory up once it is idle. What the journal holds is folded into a snapshot, if that works."""
        if self._opening is None:
            return
        with suppress(NeuralMemoryError):
            writer = await self._opening
            try:
                await _in_thread(self._threads.moves, lambda: writer.close(must_fold=must_fold))
            except NeuralMemoryError as error:
                # Everything acknowledged is in the journal: the next open is slower, nothing else.
                _log.warning("Memory %s was released without a fold (%s).", self.tenant.name, error.code)

    async def _write(self, method: str, args: tuple[Any, ...], options: dict[str, Any], fingerprint: str | None) -> Any:
        try:
            async with self._at_once:
                writer = await self._writer()
                require_same_encoder(writer.name, writer.config, fingerprint)
                return await _in_thread(self._threads.writes, lambda: getattr(writer, method)(*args, **options))
        except Fenced as error:
            # This process may be a zombie beside its successor: it must not claim the memory back.
            self._fenced = error
            raise
        finally:
            self._pending_writes -= 1

    async def _writer(self) -> MemoryWriter:
        if self._fenced is not None:
            raise self._fenced
        if self._opening is None or _has_ended(self._opening):
            if self.leaving is not None:
                raise Unavailable(
                    f"The memory {self.tenant.name} leaves this host.", code=WRITER_ENDED, hint="Repeat the request."
                )
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> MemoryWriter:
        writer: MemoryWriter = await _in_thread(self._threads.moves, self._open_writer)
        self.size_bytes = writer.allocated_bytes
        return writer


def _in_thread(threads: ThreadPoolExecutor, work: Callable[[], Any]) -> Awaitable[Any]:
    return asyncio.get_running_loop().run_in_executor(threads, work)


def _size(asked: object) -> int:
    """How much is asked: segments of texts, and numbers such as how many answers are wanted."""
    if isinstance(asked, EncodedText):
        return len(asked.spans)
    if isinstance(asked, list | tuple):
        return sum(map(_size, asked))
    return asked if isinstance(asked, int) else 0


def _has_ended(opening: asyncio.Task[MemoryWriter]) -> bool:
    """True when a writer could not be opened, or failed since: another one recovers what is durable."""
    return opening.done() and (opening.exception() is not None or not opening.result().is_usable)


def require_same_encoder(name: MemoryName, config: MemoryConfig, fingerprint: str | None) -> None:
    """Conflict (ENCODER_MISMATCH) when keys are of another encoder than the memory's."""
    if fingerprint is not None and fingerprint != config.encoder_fingerprint:
        raise Conflict(
            f"Memory {name} was made with another version of encoder {config.encoder}.",
            code="ENCODER_MISMATCH",
            hint="Serve the encoder it was made with: keys of another one mean nothing to it.",
        )
