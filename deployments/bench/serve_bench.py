"""Latency and rate of the whole service, beside what Ray Serve costs without it, in one run on one cluster."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Any, Final

import psutil

from deployments.bench.bare_serve import BARE_PREFIX, run_bare
from deployments.bench.report import Report, conditions
from deployments.bench.serve_load import Call, Load, create, loaded_service, measure, seconds_of, sentence
from deployments.serve_encoder import use_all_cores
from deployments.serve_process import deploy, local_ray
from deployments.settings import MIB
from memory_core.encoding.registry import open_encoder

CLIENTS: Final = (1, 8, 32)
BATCH: Final = 64
_BATCHES: Final = 8
_PLAIN, _ENCODED = "bench-plain", "bench-encoded"


def run_serve_bench(folder: str, *, front: str, encoder: str, seconds: float) -> Report:
    """Start a service of its own on a volume in ``folder``, load it, stop it.

    observe, infer and surprise use the encoder ``hash``, which costs nothing; the batch uses ``encoder``. ``front``:
    the HTTP front that the environment was prepared for.
    """
    settings = loaded_service(folder)
    with local_ray():
        deploy(settings)
        run_bare()
        figures, loads = asyncio.run(_measured(settings.base_url, encoder, seconds))
    said = conditions(front=front, encoder=encoder, seconds=seconds, loads=[asdict(load) for load in loads])
    return Report(bench="serve", figures=figures, conditions=said)


async def _measured(base_url: str, encoder: str, seconds: float) -> tuple[dict[str, float], list[Load]]:
    await create(base_url, {"name": _PLAIN, "class": "session"})
    await create(base_url, {"name": _ENCODED, "class": "session", "encoder": encoder})
    before_mib = _rss_mib()
    loads = [
        await measure(base_url, name, make, clients, seconds) for clients in CLIENTS for name, make in _paths().items()
    ]
    grown_mib = _rss_mib() - before_mib
    at = {(load.path, load.clients): load for load in loads}
    figures = {
        "observe_over_actor_p50": at["observe", 1].p50_ms / at["actor", 1].p50_ms,
        "infer_ms_p99_c8": at["infer", 8].p99_ms,
        "observe_batch_over_encoder": await _batch_over_encoder(base_url, encoder),
        "req_per_s_c32": at["observe", 32].req_per_s,
        "rss_growth_mib": grown_mib,
        "requests": float(sum(load.requests for load in loads)),
    }
    return figures, loads


def _paths() -> dict[str, Callable[[int], Call]]:
    memory = f"/v1/memories/{_PLAIN}"
    return {
        "echo": lambda number: (f"{BARE_PREFIX}/echo", {"text": sentence(number)}),
        "actor": lambda number: (f"{BARE_PREFIX}/actor", {"text": sentence(number)}),
        "observe": lambda number: (f"{memory}/observe", {"text": sentence(number)}),
        "infer": lambda number: (f"{memory}/infer", {"prompt": sentence(number)}),
        "surprise": lambda number: (f"{memory}/surprise", {"text": sentence(number)}),
    }


async def _batch_over_encoder(base_url: str, encoder: str) -> float:
    """The encoder's own time for a batch of fresh texts over the time of observing such a batch; 1 would be free.

    Both take turns, so that whatever else this machine does meanwhile slows both. The first of each warms up.
    """
    opened = await asyncio.to_thread(_opened, encoder)
    path = f"/v1/memories/{_ENCODED}/observe"
    encoded_s, observed_s = [], []
    for number in range(0, 2 * _BATCHES, 2):
        here, there = ([sentence(BATCH * one + place) for place in range(BATCH)] for one in (number, number + 1))
        began_s = time.perf_counter()
        await asyncio.to_thread(opened.encode, here)
        encoded_s.append(time.perf_counter() - began_s)
        call: Call = (path, {"observations": [{"text": text} for text in there]})
        observed_s += await seconds_of(base_url, [call])
    return median(encoded_s[1:]) / median(observed_s[1:])


def _opened(encoder: str) -> Any:
    # With the threads of the service's own encoder, whatever the environment says.
    use_all_cores()
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return open_encoder(encoder)


def _rss_mib() -> float:
    total_bytes = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total_bytes += process.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total_bytes / MIB
