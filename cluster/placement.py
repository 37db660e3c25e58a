"""Which process holds a memory, and why: pure functions of its spec, declared constants and the nodes' resources.

No table of owners is kept anywhere: every ingress computes the same place from the memory's uid, Ray's names lead from
there to a process, and the epochs in storage decide between two that believe they own it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from memory_core.placement_spec import PlacementSpec, Strategy

_MIB: Final = 1 << 20
# Of the resource by which Ray marks nodes with a type of accelerator; a node has 1 of it.
_TYPE_SHARE: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a process needs of its node. labels: ``key=value``. avoid_node: the id of one that will not do.

    near_node: of the one that was meant for it, if that still has room.
    """

    gpus: float = 0.0
    accelerator: str | None = None
    labels: tuple[str, ...] = ()
    strategy: Strategy = "pack"
    ram_bytes: int = 0
    avoid_node: str | None = None
    near_node: str | None = None

    @property
    def is_demanding(self) -> bool:
        """True when not every node will do."""
        return bool(self.gpus or self.labels or self.ram_bytes or self.avoid_node)

    @property
    def label_selector(self) -> dict[str, str]:
        """The labels that its node must have, by their keys."""
        return dict(label.split("=", 1) for label in self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node: what it has in all and what is free now. Keys as Ray names them: GPU, memory, accelerator_type:H200."""

    total: Mapping[str, float]
    free: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    node_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The process that holds a memory, by its actor's name, and one sentence per reason."""

    actor_name: str
    is_shared: bool
    needs: Needs
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The shared hosts of a volume. room_bytes: of states in each."""

    volume_id: str
    hosts: int
    room_bytes: int

    def place(self, uid: str, spec: PlacementSpec) -> Place:
        """Where the memory with this uid lives."""
        if spec.is_alone or spec.ram_mib * _MIB > self.room_bytes:
            needs = _needs_of(spec, spec.strategy)
            reasons = (*self._why_alone(spec), f"Ray chooses the node: {spec.strategy}.")
            return Place(actor_name=f"memory:{self.volume_id}:{uid}", is_shared=False, needs=needs, reasons=reasons)
        slot = slot_of(uid, self.hosts)
        reason = f"It shares host {slot} of {self.hosts}: the one with the highest hash of uid and host."
        return Place(
            actor_name=f"host:{self.volume_id}:{slot}",
            is_shared=True,
            needs=Needs(strategy="spread"),
            reasons=(reason, "Hosts are spread over the nodes."),
        )

    def standby_place(self, uid: str, spec: PlacementSpec) -> Place:
        """Where the standby of the memory with this uid lives: on a node that is as good, and not the owner's."""
        needs = _needs_of(spec, "spread")
        reasons = ("Its standby is on another node than its owner.",)
        return Place(actor_name=f"standby:{self.volume_id}:{uid}", is_shared=False, needs=needs, reasons=reasons)

    def _why_alone(self, spec: PlacementSpec) -> tuple[str, ...]:
        why = {
            "It has a process of its own, as its settings ask.": spec.isolation == "dedicated",
            f"It has a process of its own, since it needs {_gpus(spec.gpus)}.": spec.gpus > 0,
            f"It has a process of its own, since its node must have {', '.join(spec.labels)}.": bool(spec.labels),
            "It has a process of its own, since it is larger than a host's room.": (
                spec.ram_mib * _MIB > self.room_bytes
            ),
        }
        return tuple(reason for reason, holds in why.items() if holds)


@lru_cache(maxsize=1 << 17)
def slot_of(uid: str, hosts: int) -> int:
    """Rendezvous hashing: with one host more, only the memories that move to it move. A hash for each host, so kept."""
    return max(range(hosts), key=lambda slot: hashlib.sha256(f"{uid}:{slot}".encode()).digest())


def unmet(needs: Needs, nodes: Sequence[NodeFacts]) -> str | None:
    """What a process waits for (``needs 1 GPU``), or None when some node has it free."""
    if not needs.is_demanding:
        return None
    fitting = [node for node in nodes if _may_be_on(node, needs)]
    if any(_fits(needs, node.free) for node in fitting):
        return None
    verb = "waits for" if any(_fits(needs, node.total) for node in fitting) else "needs"
    return f"{verb} {_told(needs)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """Processes that start together or not at all: ``count`` with the same needs."""

    needs: Needs
    count: int

    @property
    def bundle(self) -> dict[str, float]:
        """What one of them takes, as Ray names it; empty when it takes nothing that could be reserved."""
        needs = self.needs
        typed = {f"accelerator_type:{needs.accelerator}": _TYPE_SHARE} if needs.accelerator else {}
        wanted: dict[str, float] = {"GPU": needs.gpus, "memory": float(needs.ram_bytes), **typed}
        return {resource: amount for resource, amount in wanted.items() if amount}

    @property
    def ray_strategy(self) -> str:
        """On few or on many nodes, as far as there is room."""
        return self.needs.strategy.upper()

    def unmet(self, nodes: Sequence[NodeFacts]) -> str | None:
        """What they wait for, ``needs 16 times 1 GPU, of which 4 fit now``; None when all fit at once."""
        if not self.bundle:
            return None
        room = sum(self._room(node.free) for node in nodes if _may_be_on(node, self.needs))
        if room >= self.count:
            return None
        return f"needs {self.count} times {_told(self.needs)}, of which {room} fit now"

    def _room(self, free: Mapping[str, float]) -> int:
        """How many of them a node takes."""
        return min(int(free.get(resource, 0) / amount) for resource, amount in self.bundle.items())


def _fits(needs: Needs, resources: Mapping[str, float]) -> bool:
    has_type = needs.accelerator is None or resources.get(f"accelerator_type:{needs.accelerator}", 0) > 0
    return has_type and resources.get("GPU", 0) >= needs.gpus and resources.get("memory", 0) >= needs.ram_bytes


def _may_be_on(node: NodeFacts, needs: Needs) -> bool:
    has_labels = all(node.labels.get(key) == value for key, value in needs.label_selector.items())
    return has_labels and (not needs.avoid_node or node.node_id != needs.avoid_node)


def _needs_of(spec: PlacementSpec, strategy: Strategy) -> Needs:
    return Needs(
        gpus=spec.gpus,
        accelerator=spec.accelerator,
        labels=spec.labels,
        strategy=strategy,
        ram_bytes=spec.ram_mib * _MIB,
    )


def _told(needs: Needs) -> str:
    parts = []
    if needs.gpus:
        parts.append(_gpus(needs.gpus) + (f" of type {needs.accelerator}" if needs.accelerator else ""))
    if needs.ram_bytes:
        parts.append(f"{needs.ram_bytes // _MIB} MiB of memory")
    if needs.labels:
        parts.append(f"a node with {', '.join(needs.labels)}")
    if needs.avoid_node:
        parts.append("another node")
    return " and ".join(parts)


def _gpus(count: float) -> str:
    return "1 GPU" if count == 1 else f"{count:g} {'of a GPU' if count < 1 else 'GPUs'}"
