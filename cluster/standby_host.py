"""A process that follows one memory and takes it over when its owner is lost. Ray-free.

Until then it is a reader of storage like any other; taking over is opening the memory as every host does, which claims
the next epoch, only that the state is in RAM already. Once the owner's process is back, it gives the memory up again,
folded, and goes on following. Two that believe they own it are told apart by the epoch, as ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cluster.call_context import CallContext
from cluster.memory_host import HostLimits, HostLinks, MemoryHost
from cluster.resident import Resident, Tenant, require_same_encoder
from memory_core.errors import NeuralMemoryError, NotFound, Unavailable

if TYPE_CHECKING:
    from memory_core.follower import Follower
    from memory_core.replay import Replay

OWNER_IS_HOME: Final = "OWNER_IS_HOME"
_MEMORY_NOT_FOUND: Final = "MEMORY_NOT_FOUND"
_PAUSE_MAX_S: Final = 30.0
_NODE_EVERY_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRhythm:
    """poll_s: between two looks at storage; return_after_s: how long an owner that was lost must be back."""

    poll_s: float = 0.5
    return_after_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """has_owner: whether the process that should own the memory answers; blocks."""

    has_owner: Callable[[], bool]
    rhythm: FollowRhythm = field(default_factory=FollowRhythm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a standby says of itself. seq: None before it has read the memory. problem: code of what keeps it."""

    pid: int
    node: str
    is_owner: bool
    seq: int | None
    problem: str | None


class StandbyHost(MemoryHost):
    """A host that holds nothing until it is told to take its one memory over."""

    def __init__(
        self,
        storage_url: str,
        tenant: Tenant,
        home: Home,
        limits: HostLimits | None = None,
        links: HostLinks | None = None,
    ) -> None:
        super().__init__(storage_url, limits, links)
        self._tenant = tenant
        self._home = home
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looked_at_node_s = time.monotonic()
        self._home_since_s: float | None = None
        self._problem: str | None = None
        self._follower_lock = threading.Lock()
        self._made_follower: Follower | None = None
        # Not a task: a constructor that Ray runs again after a crash has no event loop.
        threading.Thread(target=self._follow_forever, name="follow", daemon=True).start()

    async def take_over(self) -> int | None:
        """Own the memory from now on; gives the epoch, None when it was lost again. Raises what opening it raises."""
        self._loop = asyncio.get_running_loop()
        self._home_since_s = None
        await super()._resident(self._tenant)
        async with self._used(self._tenant) as resident:
            return resident.epoch

    async def read_behind(
        self,
        method: str,
        *args: Any,
        fingerprint: str | None = None,
        context: CallContext | None = None,
    ) -> Any:
        """A read from what was followed so far; from the memory itself while this process owns it."""
        if self._owns:
            return await self.read(self._tenant, method, *args, fingerprint=fingerprint, context=context)
        with self._watch.call(self._tenant, "read_behind", method, context) as watched:
            follower = self._follower()
            require_same_encoder(self._tenant.name, follower.config, fingerprint)
            loop = asyncio.get_running_loop()
            watched.result = await loop.run_in_executor(self._threads.reads, lambda: getattr(follower, method)(*args))
        return watched.result

    async def catch_up(self) -> None:
        """Look at storage now; returns when it did. Raises what following raises."""
        if not self._owns:
            await asyncio.get_running_loop().run_in_executor(self._threads.moves, self._follower().poll)

    async def standing(self) -> Standing:
        """How far it is."""
        position = None if self._made_follower is None else self._made_follower.position
        seq = self._residents[self._tenant.uid].seq if self._owns else None if position is None else position.seq
        return Standing(
            pid=os.getpid(), node=self._links.own_node(), is_owner=self._owns, seq=seq, problem=self._problem
        )

    @property
    def _owns(self) -> bool:
        return self._tenant.uid in self._residents

    async def _resident(self, tenant: Tenant) -> Resident:
        if tenant.uid not in self._residents:
            raise Unavailable(
                f"The standby of {tenant.name} follows; its owner is back.", code=OWNER_IS_HOME, hint="Try again."
            )
        return await super()._resident(tenant)

    def _replayed(self, tenant: Tenant) -> Replay | None:
        return self._follower().take()

    def _follow_forever(self) -> None:
        pause_s = self._home.rhythm.poll_s
        while True:
            time.sleep(pause_s)
            try:
                self._leave_with_node()
                if self._owns:
                    self._return_if_home()
                else:
                    self._follower().poll()
                pause_s, self._problem = self._home.rhythm.poll_s, None
            except NotFound as error:
                if error.code == _MEMORY_NOT_FOUND:
                    self._links.end()
                    return
                pause_s = self._failed(error, pause_s)
            except Exception as error:  # a bug in one look must not end the following for ever
                pause_s = self._failed(error, pause_s)

    def _failed(self, error: Exception, pause_s: float) -> float:
        problem = error.code if isinstance(error, NeuralMemoryError) else type(error).__name__
        if self._problem != problem:
            _log.warning("The standby of %s cannot follow (%s).", self._tenant.name, problem)
        self._problem = problem
        return min(2 * pause_s, _PAUSE_MAX_S)

    def _leave_with_node(self) -> None:
        """End while it follows; it is made anew on another node. What it owns is drained as in any host."""
        now_s = time.monotonic()
        if now_s - self._looked_at_node_s >= _NODE_EVERY_S:
            self._looked_at_node_s = now_s
            if not self._owns and self._links.is_leaving():
                self._links.end()

    def _return_if_home(self) -> None:
        """Give the memory up once its owner's process answers for a while."""
        now_s = time.monotonic()
        if not self._home.has_owner():
            self._home_since_s = None
        elif self._home_since_s is None:
            self._home_since_s = now_s
        elif now_s - self._home_since_s >= self._home.rhythm.return_after_s and self._loop is not None:
            with suppress(NeuralMemoryError):
                asyncio.run_coroutine_threadsafe(self.release(self._tenant.uid), self._loop).result()
            self._home_since_s = None

    def _follower(self) -> Follower:
        from memory_core.follower import Follower

        with self._follower_lock:
            if self._made_follower is None:
                self._made_follower = Follower(
                    self._store(), self._tenant.name, self._tenant.uid, device=self._limits.device
                )
            return self._made_follower
