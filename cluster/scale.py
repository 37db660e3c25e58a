"""How a plan would run: many memories on many nodes, by the real placement and measured costs. Pure but for a clock.

Calls arrive at random times for memories whose popularity falls as 1 / rank. A host holds what its room allows and
gives up the memory called longest ago; a passive memory is read from storage, four at once on a host. What is not
modelled: the network, the store's own limits, learning that is dearer than a question.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from cluster.constants import MEASURED, MeasuredCosts
from cluster.placement import Pool
from memory_core.placement_spec import PlacementSpec

MIB: Final = 1 << 20
_OPENING_AT_ONCE: Final = 4
_TIMED_PLACES: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePlan:
    """host_room_mib: of states in each host. writes: share of calls that learn."""

    memories: int = 100_000
    nodes: int = 100
    hosts_per_node: int = 2
    host_room_mib: int = 16_384
    ingresses: int = 20
    calls_per_s: float = 2_000.0
    seconds: float = 300.0
    writes: float = 0.3
    patterns: int = 1_000
    seed: int = 0
    costs: MeasuredCosts = MEASURED

    @property
    def hosts(self) -> int:
        """Of the whole cluster."""
        return self.nodes * self.hosts_per_node

    @property
    def memory_mib(self) -> float:
        """RAM of one memory, at most what its budget allows."""
        grown = self.costs.memory_rss_mib + self.patterns * self.costs.pattern_kb / 1024
        return min(grown, self.costs.memory_full_mib)

    @property
    def state_mb(self) -> float:
        """Stored bytes of one memory."""
        return self.costs.checkpoint_mb + (self.patterns - 1_000) * self.costs.pattern_kb / 1_000


@dataclass(slots=True)
class _Host:
    """A host while it runs. ``openings``: when each of its places for opening is free again."""

    residents: OrderedDict[int, bool] = field(default_factory=OrderedDict)
    openings: list[float] = field(default_factory=lambda: [0.0] * _OPENING_AT_ONCE)
    calls: int = 0


@dataclass(slots=True)
class _Course:
    """What happened."""

    hosts: list[_Host]
    slots: list[int]
    waits_s: list[float] = field(default_factory=list)
    folds: int = 0
    finds: int = 0
    known: set[tuple[int, int]] = field(default_factory=set)


def simulated(plan: ScalePlan, clock_s: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Figures of a plan; the second half of the time counts, the first one fills the hosts."""
    course = _Course(hosts=[_Host() for _ in range(plan.hosts)], slots=[])
    uids = [f"{number:032x}" for number in range(plan.memories)]
    pool = Pool(volume_id="plan", hosts=plan.hosts, room_bytes=plan.host_room_mib * MIB)
    began_s = clock_s()
    for uid in uids[:_TIMED_PLACES]:
        pool.place(uid, PlacementSpec())
    place_us = (clock_s() - began_s) / min(_TIMED_PLACES, len(uids)) * 1e6
    course.slots = [int(pool.place(uid, PlacementSpec()).actor_name.rpartition(":")[2]) for uid in uids]
    _run(plan, course, random.Random(plan.seed))
    return {"place_us": place_us, **_figures(plan, course)}


def _run(plan: ScalePlan, course: _Course, draw: random.Random) -> None:
    weights = list(accumulate(1 / rank for rank in range(1, plan.memories + 1)))
    order = list(range(plan.memories))
    draw.shuffle(order)
    at_s, is_counted = 0.0, False
    while at_s < plan.seconds:
        at_s += draw.expovariate(plan.calls_per_s)
        if not is_counted and at_s > plan.seconds / 2:
            is_counted = True
            course.waits_s.clear()
            course.folds = course.finds = 0
            for host in course.hosts:
                host.calls = 0
        (memory,) = draw.choices(order, cum_weights=weights)
        _call(plan, course, memory, at_s, draw)


def _call(plan: ScalePlan, course: _Course, memory: int, at_s: float, draw: random.Random) -> None:
    ingress = draw.randrange(plan.ingresses)
    if (ingress, memory) not in course.known:
        course.known.add((ingress, memory))
        course.finds += 1
    host = course.hosts[course.slots[memory]]
    host.calls += 1
    has_learned = draw.random() < plan.writes
    if memory in host.residents:
        host.residents[memory] |= has_learned
        host.residents.move_to_end(memory)
        course.waits_s.append(0.0)
        return
    fold_s = 0.0
    while host.residents and (len(host.residents) + 1) * plan.memory_mib > plan.host_room_mib:
        _, is_dirty = host.residents.popitem(last=False)
        course.folds += is_dirty
        fold_s += plan.costs.fold_ms / 1000 if is_dirty else 0.0
    starts_s = max(at_s, heapq.heappop(host.openings))
    ends_s = starts_s + fold_s + plan.costs.activate_ms / 1000
    heapq.heappush(host.openings, ends_s)
    host.residents[memory] = has_learned
    course.waits_s.append(ends_s - at_s)


def _figures(plan: ScalePlan, course: _Course) -> dict[str, float]:
    counted_s = plan.seconds / 2
    waits_s = sorted(course.waits_s)
    opened = [wait_s for wait_s in waits_s if wait_s > 0]
    per_host = Counter(course.slots)
    calls = max(sum(host.calls for host in course.hosts), 1)
    busiest = max(host.calls for host in course.hosts)
    held = sum(len(host.residents) for host in course.hosts)
    return {
        "memories_per_host_mean": plan.memories / plan.hosts,
        "memories_per_host_max": max(per_host.values()),
        "resident": held,
        "ram_gib_per_node_max": _node_ram_gib(plan, course),
        "resident_hit_rate": 1 - len(opened) / calls,
        "activations_per_s": len(opened) / counted_s,
        "wait_ms_p50": _at(waits_s, 0.5) * 1000,
        "wait_ms_p99": _at(waits_s, 0.99) * 1000,
        "activation_wait_ms_p99": _at(opened, 0.99) * 1000,
        "catalog_finds_per_s": course.finds / counted_s,
        "catalog_load": course.finds / counted_s * plan.costs.catalog_ms / 1000,
        "busiest_host_calls_per_s": busiest / counted_s,
        "busiest_host_load": busiest / counted_s * plan.costs.call_ms / 1000,
        "read_mb_per_s": len(opened) * plan.state_mb / counted_s,
        "written_mb_per_s": course.folds * plan.state_mb / counted_s,
        "lost_node_memories": held / plan.nodes,
        "lost_node_back_s": held / plan.hosts / _OPENING_AT_ONCE * plan.costs.activate_ms / 1000,
    }


def _node_ram_gib(plan: ScalePlan, course: _Course) -> float:
    """Hosts are spread over the nodes in turn."""
    by_node = [course.hosts[node :: plan.nodes] for node in range(plan.nodes)]
    fullest = max(sum(len(host.residents) for host in hosts) for hosts in by_node)
    return (fullest * plan.memory_mib + plan.hosts_per_node * plan.costs.host_rss_mib) / 1024


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
