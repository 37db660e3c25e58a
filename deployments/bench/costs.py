"""What plans are made of: processor time by the process that spends it, and stored bytes, per observation and question.

One client asks a service of its own, so nothing waits for anything else; what the processes spend while nobody asks is
taken off. ``cluster/constants.py`` and ``cluster/sizing.py`` keep what came out.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx

from deployments.bench.corpus import standard_library_sentences
from deployments.bench.processor_time import ENCODER, FRONT, HOST, REST, processor_s, spent_s
from deployments.bench.report import Report, conditions
from deployments.ports import free_port
from deployments.serve_process import deploy, local_ray
from deployments.settings import Settings
from memory_core.encoding.registry import open_encoder
from memory_core.errors import NeuralMemoryError

BATCH: Final = 64
ENCODERS: Final = ("minilm", "static", "hash")
_TEXTS: Final = 20_000
_ROUNDS: Final = 5
_WARM_UP: Final = 4
_TIMEOUT_S: Final = 120.0
_MEMORY: Final = "/v1/memories/costs"
_KINDS: Final = (HOST, FRONT, ENCODER, REST)

Cost = Mapping[str, float]


def run_costs(folder: str, *, front: str, seconds: float) -> Report:
    """Of a service on a volume in ``folder``: ``seconds`` each of large requests, small ones, and questions.

    Its encoder is ``hash``, in a process of its own, so no cost of encoding is in the others. ``front``: the HTTP front
    that the environment was prepared for.
    """
    settings = Settings(
        memory_storage_path=folder, port=free_port(), encoder="hash", host="127.0.0.1", auth="open", log_level="WARNING"
    )
    sentences = standard_library_sentences(_TEXTS)
    with local_ray():
        deploy(settings)
        figures = asyncio.run(_measured(settings.base_url, Path(folder), sentences, seconds))
    encoded = {f"encode_ms_{name}": cost for name in ENCODERS if (cost := _encode_ms(name, sentences)) is not None}
    return Report(
        bench="costs", figures={**figures, **encoded}, conditions=conditions(front=front, seconds=seconds, batch=BATCH)
    )


async def _measured(base_url: str, folder: Path, sentences: Sequence[str], seconds: float) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT_S, trust_env=False) as client:
        await _post(client, "/v1/memories", {"name": "costs"})
        fresh = itertools.cycle(sentences)

        async def learn(count: int) -> None:
            texts = [{"text": next(fresh)} for _ in range(count)]
            await _post(client, f"{_MEMORY}/observe", {"observations": texts})

        async def ask() -> None:
            await _post(client, f"{_MEMORY}/infer", {"prompt": next(fresh)})

        await ask()
        idle = await _idle_cores(seconds / 2)
        before = _journal_bytes(folder)
        large = await _cost(lambda: learn(BATCH), seconds, idle)
        journal_bytes = (_journal_bytes(folder) - before) / (large["all_requests"] * BATCH)
        small = await _cost(lambda: learn(1), seconds, idle)
        question = await _cost(ask, seconds, idle)
    return {
        "observe_ms": large[HOST] / BATCH,
        "observe_ms_alone": small[HOST],
        "question_ms": question[HOST],
        "ingress_ms": question[FRONT],
        "ingress_ms_observe": small[FRONT],
        "ingress_text_ms": (large[FRONT] - small[FRONT]) / (BATCH - 1),
        "encoder_ms": question[ENCODER],
        "question_wall_ms": question["wall"],
        "idle_front_cores": idle[FRONT],
        "idle_rest_cores": idle[REST],
        "journal_bytes": journal_bytes,
        "requests": large["requests"] + small["requests"] + question["requests"],
    }


async def _idle_cores(seconds: float) -> Cost:
    """Cores that each kind of process takes while nobody asks."""
    before, began_s = processor_s(), time.perf_counter()
    await asyncio.sleep(seconds)
    took_s, spent = time.perf_counter() - began_s, spent_s(before)
    return {kind: spent[kind] / took_s for kind in _KINDS}


async def _cost(work: Callable[[], Awaitable[None]], seconds: float, idle: Cost) -> Cost:
    """Milliseconds of a request by kind of process and on the wall, and how many requests (``all``: the first too)."""
    for _ in range(_WARM_UP):
        await work()
    before, began_s, requests = processor_s(), time.perf_counter(), 0
    while time.perf_counter() - began_s < seconds:
        await work()
        requests += 1
    took_s, spent = time.perf_counter() - began_s, spent_s(before)
    each = {kind: max(spent[kind] - idle[kind] * took_s, 0.0) / requests * 1000 for kind in _KINDS}
    return {**each, "wall": took_s / requests * 1000, "requests": requests, "all_requests": requests + _WARM_UP}


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    (await client.post(path, json=body)).raise_for_status()


def _journal_bytes(folder: Path) -> int:
    """Of all files in journals; none is folded away while their memory is in use and small."""
    return sum(file.stat().st_size for file in folder.glob("memories/*/journal/**/*") if file.is_file())


def _encode_ms(name: str, sentences: Sequence[str]) -> float | None:
    """Processor time of a text among BATCH; None for an encoder that is not installed here."""
    try:
        opened: Any = open_encoder(name)
    except NeuralMemoryError:
        return None
    times_s = []
    for number in range(_ROUNDS + 1):
        batch = list(sentences[number * BATCH : (number + 1) * BATCH])
        began_s = time.process_time()
        opened.encode(batch)
        times_s.append(time.process_time() - began_s)
    return median(times_s[1:]) / BATCH * 1000
