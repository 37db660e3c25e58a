"""Calls to actors that may die, restart or be replaced: find or make the owner, call it, try again within a deadline.

Every call made here may be made again after its owner was lost. An error that a repeated call raises is marked
(``is_after_loss``): the lost owner may have done the work already, so Conflict or NotFound can mean success.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cluster import ray_api
from cluster.ray_api import Owner, OwnerLost
from memory_core.errors import Fenced, NeuralMemoryError, Unavailable

_PAUSE_FIRST_S: Final = 0.02
_PAUSE_MAX_S: Final = 0.5

WRITER_ENDED: Final = "WRITER_ENDED"
_AFTER_LOSS: Final = "after_loss"

_log = logging.getLogger(__name__)

Admission = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class OwnerSpec:
    """A named actor and how to make it."""

    actor_name: str
    kind: type
    arguments: tuple[Any, ...]


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

    async def call(self, spec: OwnerSpec, call: Call, admit: Admission | None = None) -> Any:
        """Call the owner, made if there is none and ``admit`` lets it. Raises what it raised, or Unavailable."""
        give_up_at_s = time.monotonic() + self._deadline_s
        pause_s = _PAUSE_FIRST_S
        was_lost = False
        while True:
            try:
                owner = await self._owner(spec, admit)
                left_s = max(give_up_at_s - time.monotonic(), _PAUSE_FIRST_S, call.patience_s)
                return await ray_api.call(owner, call.method, *call.arguments, timeout_s=left_s, **call.options)
            except OwnerLost:
                self._known.pop(spec.actor_name, None)
            except Fenced:
                await self.end(spec)
            except NeuralMemoryError as error:
                if error.code != WRITER_ENDED:
                    error.context[_AFTER_LOSS] = was_lost
                    raise
            was_lost = True
            _log.warning("The owner %s was lost during %s; trying again.", spec.actor_name, call.method)
            if time.monotonic() + pause_s > give_up_at_s:
                raise Unavailable(
                    f"The memory did not come back within {self._deadline_s:.0f} s.",
                    hint="Try again; if it stays so, look at the log of its actor.",
                    retry_after_s=1.0,
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def end(self, spec: OwnerSpec) -> None:
        """Kill the owner for good, wherever it was made."""
        owner = self._known.pop(spec.actor_name, None)
        if owner is None:
            owner = await asyncio.to_thread(ray_api.find_owner, spec.actor_name)
        if owner is not None:
            await asyncio.to_thread(ray_api.end_owner, owner)

    async def _owner(self, spec: OwnerSpec, admit: Admission | None) -> Owner:
        known = self._known.get(spec.actor_name)
        if known is not None:
            return known
        if admit is not None:
            await admit()
        made = await asyncio.to_thread(ray_api.owner_of, spec.actor_name, spec.kind, *spec.arguments)
        return self._known.setdefault(spec.actor_name, made)


def is_after_loss(error: NeuralMemoryError) -> bool:
    """True when an earlier try of the same call may have done the work."""
    return bool(error.context.get(_AFTER_LOSS))
