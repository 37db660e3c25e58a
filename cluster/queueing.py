"""Throughput of callers that wait for each answer, by discrete events. Pure.

Each call thinks for ``delay_ms`` (what takes time but no processor), then needs the front, then one of the hosts; each
of them works on one call at a time, and all of them share ``cores`` processors. So it is a closed network of queues
with processor sharing between the stations.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Final

FRONT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """front_ms, host_ms: processor time of a call there. delay_ms: the rest of an unhurried call's time."""

    callers: int
    hosts: int
    cores: float
    front_ms: float
    host_ms: float
    delay_ms: float


@dataclass(slots=True)
class _Station:
    """One process. ``left_ms``: processor time that its first call still needs."""

    queue: deque[int] = field(default_factory=deque)
    left_ms: float = 0.0


def calls_per_s(network: Network, *, calls: int = 20_000, seed: int = 0) -> float:
    """Calls answered a second once the network is warm: a tenth of ``calls`` are not counted."""
    draw = random.Random(seed)
    stations = [_Station() for _ in range(1 + network.hosts)]
    thinking = [(draw.expovariate(1 / max(network.delay_ms, 1e-9)), caller) for caller in range(network.callers)]
    heapq.heapify(thinking)
    now_ms, answered, counted_from_ms, warm = 0.0, 0, 0.0, calls // 10
    while answered < calls:
        busy = [number for number, station in enumerate(stations) if station.queue]
        rate = min(1.0, network.cores / len(busy)) if busy else 1.0
        first = min(busy, key=lambda number: stations[number].left_ms, default=None)
        ends_ms = float("inf") if first is None else now_ms + stations[first].left_ms / rate
        if thinking and thinking[0][0] <= ends_ms:
            at_ms, caller = heapq.heappop(thinking)
            _work(stations, busy, (at_ms - now_ms) * rate)
            now_ms = at_ms
            _join(stations[FRONT], caller, draw.expovariate(1 / network.front_ms))
            continue
        assert first is not None
        _work(stations, busy, stations[first].left_ms)
        now_ms = ends_ms
        caller = stations[first].queue.popleft()
        mean_ms = network.front_ms if first == FRONT else network.host_ms
        stations[first].left_ms = draw.expovariate(1 / mean_ms) if stations[first].queue else 0.0
        if first == FRONT:
            _join(stations[1 + draw.randrange(network.hosts)], caller, draw.expovariate(1 / network.host_ms))
            continue
        answered += 1
        if answered == warm:
            counted_from_ms = now_ms
        heapq.heappush(thinking, (now_ms + draw.expovariate(1 / max(network.delay_ms, 1e-9)), caller))
    return (calls - warm) / (now_ms - counted_from_ms) * 1000


def _work(stations: list[_Station], busy: list[int], done_ms: float) -> None:
    for number in busy:
        stations[number].left_ms = max(stations[number].left_ms - done_ms, 0.0)


def _join(station: _Station, caller: int, needs_ms: float) -> None:
    if not station.queue:
        station.left_ms = needs_ms
    station.queue.append(caller)
