"""What an operator is told about where a memory lives."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.memory_host import MIB, HostReport
from cluster.placement import Place
from cluster.volume_actor import KnownMemory
from memory_core.ids import MemoryName


@dataclass(frozen=True, slots=True, kw_only=True)
class StandbyReport:
    """status: ``follows``, ``owns``, ``starts``, ``waits: ...``, ``absent`` (nobody called the memory yet), or ``cannot
    follow: ...``. seq: the last position that it knows."""

    status: str
    node: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementReport:
    """status: ``resident``, ``passive`` (comes back with its next call) or ``pending: ...`` with what it waits for.

    epoch: of its owner. neighbours: other memories in the process now. standby: of a memory that asked for one. What is
    None is not known, since no process holds the memory.
    """

    memory: MemoryName
    status: str
    host: str
    is_shared: bool
    reasons: tuple[str, ...]
    node: str | None = None
    pid: int | None = None
    neighbours: int | None = None
    host_state_mib: int | None = None
    host_rss_mib: int | None = None
    epoch: int | None = None
    standby: StandbyReport | None = None


def told(
    known: KnownMemory,
    place: Place,
    host: HostReport | None,
    waits_for: str | None,
    standby: StandbyReport | None = None,
) -> PlacementReport:
    """Put together. ``host``: what its process says, None when there is none or it does not answer."""
    name, reasons = known.name, place.reasons
    if known.info.placement.is_pinned:
        reasons = (*reasons, "It is pinned: idleness does not make it passive.")
    if host is None:
        status = "passive" if waits_for is None else f"pending: {waits_for}"
        return PlacementReport(
            memory=name,
            status=status,
            host=place.actor_name,
            is_shared=place.is_shared,
            reasons=reasons,
            standby=standby,
        )
    is_resident = name in host.residents
    return PlacementReport(
        memory=name,
        status="resident" if is_resident else "passive",
        host=place.actor_name,
        is_shared=place.is_shared,
        reasons=reasons,
        node=host.node,
        pid=host.pid,
        neighbours=len(host.residents) - is_resident,
        host_state_mib=host.state_bytes // MIB,
        host_rss_mib=host.rss_bytes // MIB,
        epoch=dict(zip(host.residents, host.epochs, strict=True)).get(name),
        standby=standby,
    )
