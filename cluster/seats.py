"""Which actors the memories of a volume belong in, and how those actors are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final

from cluster import ray_api
from cluster.late_meter import LateMeter
from cluster.memory_host import HostLimits, HostLinks, MemoryHost
from cluster.owners import OwnerSpec
from cluster.placement import Place, Pool
from cluster.resident import Tenant
from cluster.standby_host import Home, StandbyHost
from cluster.volume_actor import KnownMemory, VolumeActor
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec

_HOME_ANSWERS_WITHIN_S: Final = 5.0
_OWNERS_KEPT: Final = 1 << 14


class Seats:
    """Of the volume at a URL. Computed from what a memory is, so they are kept only to save the time."""

    def __init__(self, storage_url: str, shared_hosts: int, limits: HostLimits) -> None:
        self._storage_url = storage_url
        self._limits = limits
        volume_id = hashlib.sha256(storage_url.encode()).hexdigest()[:12]
        self._pool = Pool(volume_id=volume_id, hosts=shared_hosts, room_bytes=limits.resident_bytes_max)
        self._near_node: dict[MemoryName, str] = {}
        self._owner = lru_cache(maxsize=_OWNERS_KEPT)(self._computed_owner)
        self.catalog = OwnerSpec(f"volume:{volume_id}", VolumeActor, (storage_url,))

    def place(self, known: KnownMemory) -> Place:
        """Where a memory lives, and why."""
        return self._pool.place(known.uid, known.info.placement)

    def owner(self, known: KnownMemory) -> OwnerSpec:
        """The actor that owns a memory."""
        return self._owner(known.uid, known.info.placement, self._near_node.get(known.name))

    def _computed_owner(self, uid: str, spec: PlacementSpec, near_node: str | None) -> OwnerSpec:
        place = self._pool.place(uid, spec)
        standby = self._pool.standby_place(uid, spec).actor_name if spec.standby else None
        arguments = (self._storage_url, self._limits_of(place), _links())
        return OwnerSpec(
            place.actor_name, MemoryHost, arguments, replace(place.needs, near_node=near_node), uid, standby
        )

    def standby(self, known: KnownMemory) -> OwnerSpec:
        """The actor that follows a memory, without the node that it must not be on."""
        place = self._pool.standby_place(known.uid, known.info.placement)
        home = Home(has_owner=partial(ray_api.answers, self.place(known).actor_name, _HOME_ANSWERS_WITHIN_S))
        limits = replace(self._limits_of(place), ends_when_empty=False)
        return OwnerSpec(
            place.actor_name,
            StandbyHost,
            (self._storage_url, tenant_of(known), home, limits, _links()),
            place.needs,
            known.uid,
        )

    @contextmanager
    def meant(self, names: Sequence[MemoryName], nodes: Sequence[str]) -> Iterator[None]:
        """Inside the block the actors of these memories are made on these nodes, if they still have room."""
        chosen = dict(zip(names, nodes, strict=False))
        self._near_node |= chosen
        try:
            yield
        finally:
            for name in chosen:
                self._near_node.pop(name, None)

    def _limits_of(self, place: Place) -> HostLimits:
        limits = replace(self._limits, ends_when_empty=not place.is_shared)
        return replace(limits, device="cuda") if place.needs.gpus else limits


def tenant_of(known: KnownMemory) -> Tenant:
    """What calls to its host say about a memory."""
    return Tenant(known.uid, known.name, known.info.placement.is_pinned)


def _links() -> HostLinks:
    return HostLinks(
        own_node=ray_api.own_node,
        is_leaving=ray_api.own_node_leaves,
        end=ray_api.end_own_actor,
        open_meter=_open_meter,
    )


def _open_meter() -> LateMeter:
    # Ray takes a tenth of a millisecond for each figure, and an observe has nine.
    return LateMeter(ray_api.RayMeter())
