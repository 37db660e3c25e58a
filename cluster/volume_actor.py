"""The keeper of one volume's catalog: an actor that creates, lists, finds and deletes memories in storage.

Storage decides; the actor only saves every ingress the libraries and caches for asking it. Ray-free.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cluster.packed import Packed
from memory_core.config import MemoryConfig
from memory_core.errors import NeuralMemoryError, NotFound
from memory_core.ids import EncoderId, MemoryName, Tag
from memory_core.results import CheckpointPage, ForkResult, MemoryInfo, MemoryPage
from memory_core.terms import MemoryTerms

if TYPE_CHECKING:
    from memory_core.volume import Volume

_THREADS: Final = 4
_SWEEP_S: Final = 10.0
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownMemory:
    """What a name means now. ``uid`` is never used again, so it tells a memory from a later one of the same name."""

    uid: str
    info: MemoryInfo

    @property
    def name(self) -> MemoryName:
        """The memory's name."""
        return self.info.name

    @property
    def encoder(self) -> EncoderId:
        """The encoder that makes its keys."""
        return EncoderId(self.info.encoder)


class VolumeActor(Packed):
    """The catalog of the volume at a URL. Methods raise NeuralMemoryError subclasses."""

    def __init__(self, storage_url: str) -> None:
        self._storage_url = storage_url
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="volume")
        self._opening = threading.Lock()
        self._opened: Volume | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """Create an empty memory; Conflict when the name is taken."""
        return await self._run(lambda volume: volume.create(name, config, terms))

    async def list_memories(self, limit: int, cursor: str | None) -> MemoryPage:
        """One page, in name order."""
        return await self._run(lambda volume: volume.list_memories(limit, cursor))

    async def find(self, name: MemoryName) -> KnownMemory:
        """What the name means; NotFound when nothing."""
        entry = await self._run(lambda volume: volume.find(name))
        return KnownMemory(uid=entry.uid, info=entry.info)

    async def delete(self, name: MemoryName, uid: str) -> None:
        """Delete the memory that has this uid; NotFound when the name means another or nothing."""
        if (await self.find(name)).uid != uid:
            raise NotFound(f"The memory {name} was deleted.", code="MEMORY_NOT_FOUND", hint="List the memories.")
        await self._run(lambda volume: volume.delete(name))

    async def list_checkpoints(self, name: MemoryName, prefix: str, limit: int, cursor: str | None) -> CheckpointPage:
        """Checkpoints of one memory, newest first."""
        return await self._run(lambda volume: volume.list_checkpoints(name, prefix, limit, cursor))

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """A new memory from a checkpoint; its parent is not disturbed."""
        return await self._run(lambda volume: volume.fork(name, tag, new_name))

    async def storage(self, method: str, *args: Any) -> Any:
        """Call a method of the volume that moves, checks or cleans what is stored."""
        return await self._run(lambda volume: getattr(volume, method)(*args))

    async def _sweep_forever(self) -> None:
        """End the memories whose time is over. What fails is tried again, by this process or the next one."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                ended = await self._run(lambda volume: volume.delete_expired())
            except NeuralMemoryError as error:
                _log.warning("Memories whose time is over could not be ended: %s", error.code)
                continue
            for name in ended:
                _log.info("The memory %s came to the end of its time to live.", name)

    async def _run(self, work: Callable[[Volume], _T]) -> _T:
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_forever())
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads, lambda: work(self._volume())))

    def _volume(self) -> Volume:
        from memory_core.storage.open_store import open_store
        from memory_core.volume import Volume

        with self._opening:
            if self._opened is None:
                self._opened = Volume(open_store(self._storage_url))
            return self._opened
