"""Calls to actors that may die, restart or be replaced: find or make the owner, call it, try again within a deadline.

Every call made here may be made again after its owner was lost. An error that a repeated call raises is marked
(``is_after_loss``): the lost owner may have done the work already, so Conflict or NotFound can mean success.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cluster import ray_api
from cluster.memory_host import HOST_FULL
from cluster.packed import Packed
from cluster.placement import Needs, unmet
from cluster.ray_api import Owner, OwnerLost
from cluster.resident import WRITER_ENDED
from cluster.standby_host import OWNER_IS_HOME
from memory_core.errors import Fenced, NeuralMemoryError, Unavailable

_PAUSE_FIRST_S: Final = 0.02
_PAUSE_MAX_S: Final = 0.5
_RELEASE_TIMEOUT_S: Final = 10.0
_PENDING_AFTER_S: Final = 2.0
_STANDBY_ANSWERS_WITHIN_S: Final = 2.0
_TAKE_OVER_TIMEOUT_S: Final = 20.0

PENDING: Final = "PENDING"
_AFTER_LOSS: Final = "after_loss"

_log = logging.getLogger(__name__)

Admission = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OwnerSpec:
    """A named actor and how to make it. ``tenant_uid``: the memory in it that calls are for, if it holds several.

    ``standby``: the actor that takes over when this one is lost, if there is one; it is made elsewhere.
    """

    actor_name: str
    kind: type[Packed]
    arguments: tuple[Any, ...]
    needs: Needs = field(default_factory=Needs)
    tenant_uid: str | None = None
    standby: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A method and what it is called with. patience_s: how long its answer may take, if longer than the deadline."""

    method: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    patience_s: float = 0.0


class Owners:
    """The actors that this process knows. ``deadline_s`` bounds one call with all its retries."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._known: dict[str, Owner] = {}
        self._took_over: set[str] = set()

    async def call(self, spec: OwnerSpec, call: Call, admit: Admission | None = None) -> Any:
        """Call the owner, made if there is none and ``admit`` lets it. Raises what it raised, or Unavailable."""
        give_up_at_s = time.monotonic() + self._deadline_s
        pause_s = _PAUSE_FIRST_S
        was_lost = False
        while True:
            seat = self._seat(spec)
            try:
                owner = await self._owner(spec, seat, admit)
                left_s = max(give_up_at_s - time.monotonic(), _PAUSE_FIRST_S, call.patience_s)
                return await ray_api.call(owner, call.method, *call.arguments, timeout_s=left_s, **call.options)
            except OwnerLost:
                self._known.pop(seat, None)
                await self._change_seats(spec, seat)
                was_lost = True
            except Fenced:
                await self._give_way(spec, seat)
                was_lost = True
            except NeuralMemoryError as error:
                is_full = error.code == HOST_FULL
                if error.code == OWNER_IS_HOME:
                    self._took_over.discard(seat)
                elif error.code != WRITER_ENDED and not (is_full and time.monotonic() + pause_s < give_up_at_s):
                    error.context[_AFTER_LOSS] = was_lost
                    raise
                was_lost = was_lost or not is_full
            _log.debug("The owner %s could not do %s; trying again.", spec.actor_name, call.method)
            if time.monotonic() + pause_s > give_up_at_s:
                raise Unavailable(
                    f"The memory did not come back within {self._deadline_s:.0f} s.",
                    hint="Try again; if it stays so, look at the log of its actor.",
                    retry_after_s=1.0,
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def call_if_there(self, spec: OwnerSpec, call: Call, timeout_s: float = _RELEASE_TIMEOUT_S) -> Any:
        """Call the owner if there is one, once; None when there is none or it does not answer."""
        owner = await asyncio.to_thread(ray_api.find_owner, spec.actor_name)
        if owner is None:
            return None
        with suppress(OwnerLost, NeuralMemoryError):
            return await ray_api.call(owner, call.method, *call.arguments, timeout_s=timeout_s, **call.options)
        return None

    def _seat(self, spec: OwnerSpec) -> str:
        """The actor that owns the memory, as far as this process knows."""
        return spec.standby if spec.standby in self._took_over else spec.actor_name

    async def _change_seats(self, spec: OwnerSpec, lost: str) -> None:
        """After a loss: have the standby take over, if it follows; once that one is lost, the owner is made anew."""
        if spec.standby is None or spec.standby in self._took_over:
            if lost == spec.standby:
                self._took_over.discard(lost)
            return
        standby = await asyncio.to_thread(ray_api.find_owner, spec.standby)
        if standby is None:
            return
        with suppress(OwnerLost, NeuralMemoryError):
            # One that waits for a node would not answer, and this caller would wait for nothing.
            await ray_api.call(standby, "pid", timeout_s=_STANDBY_ANSWERS_WITHIN_S)
            await ray_api.call(standby, "take_over", timeout_s=_TAKE_OVER_TIMEOUT_S)
            self._took_over.add(spec.standby)

    async def end(self, spec: OwnerSpec) -> None:
        """Kill the owner for good, wherever it was made."""
        owner = self._known.pop(spec.actor_name, None)
        if owner is None:
            owner = await asyncio.to_thread(ray_api.find_owner, spec.actor_name)
        if owner is not None:
            await asyncio.to_thread(ray_api.end_owner, owner)

    async def _give_way(self, spec: OwnerSpec, seat: str) -> None:
        """After Fenced: let the process that the name leads to now claim anew. A zombie is not reached by its name.

        A standby that was fenced goes back to following: whoever fenced it is the owner.
        """
        self._known.pop(seat, None)
        self._took_over.discard(seat)
        if spec.tenant_uid is not None:
            await self.call_if_there(replace(spec, actor_name=seat), Call("release", (spec.tenant_uid,)))

    async def _owner(self, spec: OwnerSpec, seat: str, admit: Admission | None) -> Owner:
        known = self._known.get(seat)
        if known is not None:
            return known
        if seat == spec.standby:
            found = await asyncio.to_thread(ray_api.find_owner, seat)
            if found is None:
                raise OwnerLost(seat)
            return self._known.setdefault(seat, found)
        if admit is not None:
            await admit()
        made = await _made(spec)
        return self._known.setdefault(seat, made)


def is_after_loss(error: NeuralMemoryError) -> bool:
    """True when an earlier try of the same call may have done the work."""
    return bool(error.context.get(_AFTER_LOSS))


async def _made(spec: OwnerSpec) -> Owner:
    """The actor, or Unavailable (PENDING) while no node has what it needs; its demand stands meanwhile."""
    waits_for = unmet(spec.needs, await asyncio.to_thread(ray_api.nodes)) if spec.needs.is_demanding else None
    owner = await asyncio.to_thread(ray_api.owner_of, spec.actor_name, spec.kind, spec.needs, *spec.arguments)
    if waits_for is not None:
        try:
            await ray_api.call(owner, "pid", timeout_s=_PENDING_AFTER_S)
        except Unavailable:
            raise Unavailable(
                f"The memory is pending: {waits_for}.",
                code=PENDING,
                hint="Add such a node, or wait for one.",
                retry_after_s=5.0,
            ) from None
    return owner
