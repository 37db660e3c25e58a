"""The standbys of memories that asked for one: made on another node than their owner's, moved when both meet, asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any, Final

from cluster import ray_api
from cluster.owners import Call, Owners, OwnerSpec
from cluster.placement import unmet
from cluster.placement_report import StandbyReport
from cluster.standby_host import Standing

_LOOK_EVERY_S: Final = 10.0
_LOOK_SOON_S: Final = 2.0
_STANDING_TIMEOUT_S: Final = 2.0
_REPORT_TIMEOUT_S: Final = 5.0
_READ_TIMEOUT_S: Final = 5.0


class Standbys:
    """Looks after the standbys of the memories that this process calls."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._looked_at_s: dict[str, float] = {}
        self._standing: set[str] = set()
        self._looking: set[asyncio.Task[None]] = set()

    def keep(self, home: OwnerSpec, standby: OwnerSpec) -> None:
        """Have a look soon that there is a standby, away from its owner; seldom while all is well."""
        now_s = time.monotonic()
        pause_s = _LOOK_EVERY_S if standby.actor_name in self._standing else _LOOK_SOON_S
        if now_s - self._looked_at_s.get(standby.actor_name, -pause_s) < pause_s:
            return
        self._looked_at_s[standby.actor_name] = now_s
        task = asyncio.create_task(self.look(home, standby))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def look(self, home: OwnerSpec, standby: OwnerSpec) -> None:
        """Make the standby, or make it anew elsewhere when it is on its owner's node and another one would do.

        While it owns the memory its home is made again, if that ended for good: the standby goes back once it answers.
        """
        owner = await self._owners.call_if_there(home, Call("report"), timeout_s=_REPORT_TIMEOUT_S)
        if owner is None:
            standing = await self._ask(standby)
            if standing is not None and standing.is_owner:
                await asyncio.to_thread(ray_api.owner_of, home.actor_name, home.kind, home.needs, *home.arguments)
            return
        away = replace(standby, needs=replace(standby.needs, avoid_node=owner.node))
        there = await asyncio.to_thread(ray_api.find_owner, standby.actor_name)
        if there is not None:
            standing = await self._ask(standby)
            is_together = standing is not None and standing.node == owner.node and not standing.is_owner
            if not is_together or unmet(away.needs, await asyncio.to_thread(ray_api.nodes)) is not None:
                return
            await self._owners.end(standby)
        await asyncio.to_thread(ray_api.owner_of, away.actor_name, away.kind, away.needs, *away.arguments)

    async def read(self, standby: OwnerSpec, call: Call) -> Any:
        """What the standby answers; None when it cannot, and the owner must be asked."""
        if standby.actor_name not in self._standing:
            return None
        found = await self._owners.call_if_there(standby, call, timeout_s=_READ_TIMEOUT_S)
        if found is None:
            self._standing.discard(standby.actor_name)
        return found

    async def catch_up(self, standby: OwnerSpec) -> None:
        """Have the standby notice now what took the state's place; one that does not answer notices by itself."""
        await self._owners.call_if_there(standby, Call("catch_up"), timeout_s=_READ_TIMEOUT_S)

    async def report(self, standby: OwnerSpec, owner_node: str | None) -> StandbyReport:
        """How the standby of a memory is."""
        there = await asyncio.to_thread(ray_api.find_owner, standby.actor_name)
        if there is None:
            return StandbyReport(status="absent")
        standing = await self._ask(standby)
        if standing is None:
            needs = replace(standby.needs, avoid_node=owner_node)
            waits_for = unmet(needs, await asyncio.to_thread(ray_api.nodes))
            return StandbyReport(status="starts" if waits_for is None else f"waits: {waits_for}")
        status = "owns" if standing.is_owner else "follows"
        if standing.problem is not None:
            status = f"cannot follow: {standing.problem}"
        return StandbyReport(status=status, node=standing.node, seq=standing.seq)

    async def _ask(self, standby: OwnerSpec) -> Standing | None:
        """What it says of itself; None when it is not there, or waits for a node."""
        call = Call("standing")
        found: Standing | None = await self._owners.call_if_there(standby, call, timeout_s=_STANDING_TIMEOUT_S)
        if found is None:
            self._standing.discard(standby.actor_name)
        else:
            self._standing.add(standby.actor_name)
        return found
