"""The owner of one memory: an async actor around one MemoryWriter. Ray-free; ``ray_api`` makes it an actor.

Its constructor starts to claim the memory's next epoch and to recover it from checkpoint and journal, so a restarted
process is ready before it is asked. Blocking work runs in threads. A write is shielded: once accepted it finishes,
also when its caller is gone.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from memory_core.errors import Conflict, Fenced, Overloaded
from memory_core.ids import MemoryName

if TYPE_CHECKING:
    from memory_core.writer import MemoryWriter

WRITES_PENDING_MAX: Final = 256
_WRITE_THREADS: Final = 16
_READ_THREADS: Final = 2


class MemoryActor:
    """One memory, one writer. Methods raise NeuralMemoryError subclasses; anything else is a bug."""

    def __init__(self, storage_url: str, name: MemoryName, durability: str = "group") -> None:
        self._storage_url = storage_url
        self._durability = durability
        self._name = name
        # Writers that wait together share one disk sync, so there are many threads that mostly wait.
        self._writes = ThreadPoolExecutor(_WRITE_THREADS, thread_name_prefix="write")
        self._reads = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="read")
        self._pending_writes = 0
        self._fenced: Fenced | None = None
        self._opening: Future[MemoryWriter] = self._writes.submit(self._open)

    async def read(self, method: str, *args: Any, fingerprint: str | None = None, **options: Any) -> Any:
        """Call a method of the writer that changes no state. ``fingerprint``: of the encoder that made the keys."""
        writer = await self._writer()
        _require_same_encoder(writer, fingerprint)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reads, lambda: getattr(writer, method)(*args, **options))

    async def write(self, method: str, *args: Any, fingerprint: str | None = None, **options: Any) -> Any:
        """Call a method of the writer that changes the memory; Overloaded when too many wait."""
        if self._pending_writes >= WRITES_PENDING_MAX:
            raise Overloaded(
                f"{self._pending_writes} writes wait for {self._name}.", hint="Send fewer at once.", retry_after_s=1.0
            )
        # Counted here, before anything is awaited, and uncounted by the task, which outlives a cancelled caller.
        self._pending_writes += 1
        return await asyncio.shield(asyncio.create_task(self._write(method, args, options, fingerprint)))

    async def pid(self) -> int:
        """The process of this owner."""
        return os.getpid()

    async def _write(self, method: str, args: tuple[Any, ...], options: dict[str, Any], fingerprint: str | None) -> Any:
        try:
            writer = await self._writer()
            _require_same_encoder(writer, fingerprint)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._writes, lambda: getattr(writer, method)(*args, **options))
        except Fenced as error:
            # This process may be a zombie beside its successor: it must not claim the memory back.
            self._fenced = error
            raise
        finally:
            self._pending_writes -= 1

    async def _writer(self) -> MemoryWriter:
        if self._fenced is not None:
            raise self._fenced
        if _has_ended(self._opening):
            self._opening = self._writes.submit(self._open)
        return await asyncio.shield(asyncio.wrap_future(self._opening))

    def _open(self) -> MemoryWriter:
        import torch

        from memory_core.durability import Durability
        from memory_core.storage.open_store import open_store
        from memory_core.writer import MemoryWriter, WriterSettings

        # Many owners share a machine; one thread each keeps them from fighting over its cores.
        torch.set_num_threads(1)
        settings = WriterSettings(durability=Durability.parse(self._durability))
        return MemoryWriter.open(open_store(self._storage_url), self._name, settings)


def _has_ended(opening: Future[MemoryWriter]) -> bool:
    """True when a writer could not be opened, or failed since: another one recovers what is durable."""
    return opening.done() and (opening.exception() is not None or not opening.result().is_usable)


def _require_same_encoder(writer: MemoryWriter, fingerprint: str | None) -> None:
    if fingerprint is not None and fingerprint != writer.config.encoder_fingerprint:
        raise Conflict(
            f"Memory {writer.name} was made with another version of encoder {writer.config.encoder}.",
            code="ENCODER_MISMATCH",
            hint="Serve the encoder it was made with: keys of another one mean nothing to it.",
        )
