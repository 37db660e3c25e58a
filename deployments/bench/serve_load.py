"""Closed-loop load over loopback: so many clients, each sending its next request when the last one was answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from deployments.bench.lean_client import LeanClient, lean_client
from deployments.bench.report import percentile
from deployments.ports import free_port
from deployments.settings import Settings

_TIMEOUT_S: Final = 120.0
_WARM_UP: Final = 8
_SENTENCE: Final = "The ferry number {} leaves at {} past noon, and the harbour master writes it down."

Call = tuple[str, dict[str, Any]]
"""A path and the JSON to post to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Latencies in ms of the requests of one closed loop, and its rate."""

    path: str
    clients: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    req_per_s: float
    requests: int


def loaded_service(folder: str) -> Settings:
    """Of a service that is loaded: on a volume in ``folder``, with the encoder ``hash``, open to this machine."""
    return Settings(
        memory_storage_path=folder, port=free_port(), encoder="hash", host="127.0.0.1", auth="open", log_level="WARNING"
    )


def sentence(number: int) -> str:
    """One of as many sentences as there are numbers."""
    return _SENTENCE.format(number, number % 60)


async def measure(base_url: str, name: str, make: Callable[[int], Call], clients: int, seconds: float) -> Load:
    """Load one path for so long. A request that is refused ends the measurement: it must not count as a fast one."""
    numbers = itertools.count(time.time_ns() % 1_000_000_000)
    latencies_ms: list[float] = []

    async def send(client: LeanClient) -> float:
        path, body = make(next(numbers))
        began_s = time.perf_counter()
        await client.post(path, body)
        return (time.perf_counter() - began_s) * 1000

    async def loop_until(end_s: float, client: LeanClient) -> None:
        while time.perf_counter() < end_s:
            latencies_ms.append(await send(client))

    async with AsyncExitStack() as connections, asyncio.timeout(seconds + _TIMEOUT_S):
        connected = [await connections.enter_async_context(lean_client(base_url)) for _ in range(clients)]
        for _ in range(_WARM_UP):
            await send(connected[0])
        began_s = time.perf_counter()
        await asyncio.gather(*(loop_until(began_s + seconds, client) for client in connected))
        took_s = time.perf_counter() - began_s
    p50, p95, p99 = (percentile(latencies_ms, percent) for percent in (50, 95, 99))
    return Load(
        path=name,
        clients=clients,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        req_per_s=len(latencies_ms) / took_s,
        requests=len(latencies_ms),
    )


async def seconds_of(base_url: str, calls: Sequence[Call]) -> list[float]:
    """Times of requests that are sent one after the other."""
    times_s = []
    async with lean_client(base_url) as client:
        for path, body in calls:
            began_s = time.perf_counter()
            await client.post(path, body)
            times_s.append(time.perf_counter() - began_s)
    return times_s


async def create(base_url: str, body: dict[str, Any]) -> None:
    """Make a memory."""
    async with lean_client(base_url) as client:
        await client.post("/v1/memories", body)
