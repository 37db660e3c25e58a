"""A process that holds memories: many small ones, or a single one that has it to itself. Ray-free.

A memory comes in with its first call and leaves when it was idle for long, when others need its room, or when it is
drained; leaving folds its journal. Storage's epochs keep one writer per memory, whatever hosts believe. A failure of
one memory (its files, its learning, its load) is answered to its callers and touches no other.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import platform
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cluster.call_context import CallContext
from cluster.host_meter import Meter, NoMeter
from cluster.host_watch import HostWatch
from cluster.json_log import log_as_json
from cluster.packed import Packed
from cluster.resident import Resident, Tenant, Threads
from cluster.tracing import install_tracer
from memory_core.errors import NotFound, Overloaded
from memory_core.ids import MemoryName
from memory_core.lifecycle.rhythm import CheckpointRhythm

if TYPE_CHECKING:
    from memory_core.replay import Replay
    from memory_core.storage.object_store import ObjectStore
    from memory_core.writer import MemoryWriter

MIB: Final = 1 << 20
HOST_FULL: Final = "HOST_FULL"
_ENTERING_AT_ONCE: Final = 4
_SWEEP_MAX_S: Final = 5.0
_SWEEP_MIN_S: Final = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """idle_ttl_s: a memory that nobody called for so long is passivated.

    resident_bytes_max: of the states in RAM; above it the memory that was called longest ago leaves first.
    ends_when_empty: a process that holds no memory any more for ``idle_ttl_s`` ends, which frees its node; for those of
    one memory. device: of the states' tensors. durability: of memories that do not say, see ``memory_core.durability``.
    rhythm: of the versions that nobody asks for. log_level: of the lines that the process writes as JSON; empty for
    none. trace_exporter: see ``tracing``.
    """

    idle_ttl_s: float = 600.0
    resident_bytes_max: int = 4096 * MIB
    ends_when_empty: bool = False
    device: str = "cpu"
    durability: str = "group"
    rhythm: CheckpointRhythm = field(default_factory=CheckpointRhythm)
    log_level: str = ""
    trace_exporter: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What a host holds now. epochs: of its residents. rss_bytes: of its process. Counts are since its start."""

    pid: int
    node: str
    residents: tuple[MemoryName, ...]
    epochs: tuple[int | None, ...]
    state_bytes: int
    rss_bytes: int
    activations: int
    passivations: int


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLinks:
    """What a host knows of the cluster around it.

    own_node: where it runs. is_leaving: whether that node is about to go; blocks. end: ends this process for good; the
    next call to a memory makes another one, elsewhere. open_meter: where figures go.
    """

    own_node: Callable[[], str] = platform.node
    is_leaving: Callable[[], bool] = _never
    end: Callable[[], object] = _never
    open_meter: Callable[[], Meter] = NoMeter


class MemoryHost(Packed):
    """Memories of the volume at a URL. Methods raise NeuralMemoryError subclasses; anything else is a bug."""

    def __init__(self, storage_url: str, limits: HostLimits | None = None, links: HostLinks | None = None) -> None:
        self._storage_url = storage_url
        self._links = links or HostLinks()
        self._emptied_at_s: float | None = None
        self._limits = limits or HostLimits()
        self._threads = Threads()
        self._residents: dict[str, Resident] = {}
        self._entering = asyncio.Semaphore(_ENTERING_AT_ONCE)
        self._sweeper: asyncio.Task[None] | None = None
        self._store_lock = threading.Lock()
        self._opened_store: ObjectStore | None = None
        self._activations = self._passivations = 0
        self._watch = HostWatch(self._links.open_meter(), lambda: list(self._residents.values()))
        if self._limits.log_level:
            log_as_json(self._limits.log_level, "cluster", "memory_core")
        install_tracer(self._limits.trace_exporter, "neural-memory-host")

    async def read(
        self,
        tenant: Tenant,
        method: str,
        *args: Any,
        fingerprint: str | None = None,
        context: CallContext | None = None,
        **options: Any,
    ) -> Any:
        """Call a method of the writer that changes no state. ``fingerprint``: of the encoder that made the keys."""
        with self._watch.call(tenant, "read", method, context) as watched:
            async with self._used(tenant) as watched.resident:
                watched.result = await watched.resident.read(method, args, options, fingerprint)
        return watched.result

    async def write(
        self,
        tenant: Tenant,
        method: str,
        *args: Any,
        fingerprint: str | None = None,
        context: CallContext | None = None,
        **options: Any,
    ) -> Any:
        """Call a method of the writer that changes the memory; Overloaded when too many wait."""
        with self._watch.call(tenant, "write", method, context) as watched:
            async with self._used(tenant) as watched.resident:
                watched.result = await watched.resident.write(method, args, options, fingerprint)
        return watched.result

    async def pid(self) -> int:
        """The process of this host."""
        return os.getpid()

    async def report(self) -> HostReport:
        """What it holds."""
        by_name = sorted(self._residents.values(), key=lambda resident: resident.tenant.name)
        return HostReport(
            pid=os.getpid(),
            node=self._links.own_node(),
            residents=tuple(resident.tenant.name for resident in by_name),
            epochs=tuple(resident.epoch for resident in by_name),
            state_bytes=self._state_bytes(),
            rss_bytes=_rss_bytes(),
            activations=self._activations,
            passivations=self._passivations,
        )

    async def release(self, uid: str, *, must_fold: bool = True) -> None:
        """Give one memory up, or forget that it was fenced; the next call brings it back."""
        resident = self._residents.get(uid)
        if resident is not None:
            await self._leave(resident, must_fold=must_fold)

    async def drain(self) -> int:
        """Give up every memory, folded; says how many. Calls that come later bring theirs back."""
        leaving = list(self._residents.values())
        await asyncio.gather(*(self._leave(resident, must_fold=True) for resident in leaving))
        return len(leaving)

    @asynccontextmanager
    async def _used(self, tenant: Tenant) -> AsyncIterator[Resident]:
        resident = await self._resident(tenant)
        resident.in_use += 1
        try:
            if not resident.size_bytes:
                await self._enter(resident)
            yield resident
        finally:
            resident.in_use -= 1
            resident.last_used_s = time.monotonic()
            if not resident.size_bytes and resident.is_idle:
                self._residents.pop(tenant.uid, None)  # it could not be opened

    async def _resident(self, tenant: Tenant) -> Resident:
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_forever())
        while (known := self._residents.get(tenant.uid)) is not None:
            if known.leaving is None:
                return known
            await asyncio.shield(known.leaving)
        self._activations += 1
        made = Resident(tenant, lambda: self._open(tenant), self._threads)
        self._residents[tenant.uid] = made
        return made

    async def _enter(self, resident: Resident) -> None:
        # Few at once: how much room a memory takes is known once it is open.
        async with self._entering:
            if not resident.size_bytes:
                await self._make_room(resident)
                await resident.open()
                await self._in_mover(_return_free_memory)

    async def _make_room(self, newcomer: Resident) -> None:
        """Passivate until there is room, longest idle first. Overloaded (HOST_FULL) when all others are in use."""
        while self._state_bytes() >= self._limits.resident_bytes_max:
            idle = [one for one in self._residents.values() if self._may_leave(one) and one is not newcomer]
            if not idle:
                raise Overloaded(
                    "The memories in use leave no room for another one.",
                    code=HOST_FULL,
                    hint="Try again, or give hosts more room.",
                    retry_after_s=0.5,
                )
            await self._passivate(min(idle, key=lambda one: one.last_used_s))

    async def _sweep_forever(self) -> None:
        shortest_s = min(self._limits.idle_ttl_s, self._limits.rhythm.every_s or self._limits.idle_ttl_s)
        period_s = min(max(shortest_s / 4, _SWEEP_MIN_S), _SWEEP_MAX_S)
        while True:
            await asyncio.sleep(period_s)
            if await asyncio.to_thread(self._links.is_leaving):
                _log.info("The node leaves: its memories move.")
                await self.drain()
                self._links.end()
            oldest_s = time.monotonic() - self._limits.idle_ttl_s
            self._watch.gauge()
            for resident in list(self._residents.values()):
                if self._may_leave(resident) and resident.last_used_s < oldest_s:
                    await self._passivate(resident)
                elif self._limits.rhythm.every_s is not None and resident.leaving is None:
                    await self._keep_time(resident)
            self._end_if_empty()

    def _end_if_empty(self) -> None:
        now_s = time.monotonic()
        if self._residents or self._emptied_at_s is None:
            self._emptied_at_s = now_s
        elif self._limits.ends_when_empty and now_s - self._emptied_at_s >= self._limits.idle_ttl_s:
            self._links.end()

    async def _keep_time(self, resident: Resident) -> None:
        resident.in_use += 1
        try:
            await resident.keep_time()
        finally:
            resident.in_use -= 1

    def _may_leave(self, resident: Resident) -> bool:
        return resident.is_idle and not resident.tenant.is_pinned

    async def _passivate(self, resident: Resident) -> None:
        self._passivations += 1
        self._watch.passivated()
        await self._leave(resident, must_fold=True)

    async def _leave(self, resident: Resident, *, must_fold: bool) -> None:
        if resident.leaving is None:
            resident.leaving = asyncio.create_task(self._close(resident, must_fold=must_fold))
        await asyncio.shield(resident.leaving)

    async def _close(self, resident: Resident, *, must_fold: bool) -> None:
        try:
            await resident.close(must_fold=must_fold)
        finally:
            self._residents.pop(resident.tenant.uid, None)
            await self._in_mover(_return_free_memory)

    async def _in_mover(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads.moves, work)

    def _state_bytes(self) -> int:
        return sum(resident.size_bytes for resident in self._residents.values())

    def _open(self, tenant: Tenant) -> MemoryWriter:
        import torch

        from memory_core.durability import Durability
        from memory_core.storage.catalog import memory_not_found
        from memory_core.writer import MemoryWriter, WriterSettings

        # Many memories share a machine; one thread each keeps them from fighting over its cores.
        torch.set_num_threads(1)
        _require_meant(self._store(), tenant)
        settings = WriterSettings(
            device=self._limits.device,
            durability=Durability.parse(self._limits.durability),
            rhythm=self._limits.rhythm,
            on_performed=self._watch.performed,
            begun=self._replayed(tenant),
        )
        began_s = time.perf_counter()
        writer = MemoryWriter.open(self._store(), tenant.name, settings)
        self._watch.opened(time.perf_counter() - began_s)
        if writer.uid != tenant.uid:
            writer.close(must_fold=False)
            raise memory_not_found(tenant.name)
        return writer

    def _replayed(self, tenant: Tenant) -> Replay | None:
        """What this process replayed of the memory already."""
        return None

    def _store(self) -> ObjectStore:
        from memory_core.storage.open_store import open_store

        with self._store_lock:
            if self._opened_store is None:
                self._opened_store = open_store(self._storage_url)
            return self._opened_store


def _require_meant(store: ObjectStore, tenant: Tenant) -> None:
    """NotFound when the name means another memory now: that one's writer must not be disturbed."""
    from memory_core.storage.catalog import Catalog

    if Catalog(store).find(tenant.name).uid != tenant.uid:
        raise NotFound(f"The memory {tenant.name} was deleted.", code="MEMORY_NOT_FOUND", hint="Try again.")


def _rss_bytes() -> int:
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _return_free_memory() -> None:
    """Give freed pages back to the system: the C library keeps what a state leaves, and what reading one took."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
