"""RAM of a whole service over many requests: what it grows by once caches are full and texts come again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import psutil

from deployments.bench.progress import Progress
from deployments.bench.report import Report, conditions
from deployments.bench.serve_load import Call, create, loaded_service, sentence
from deployments.settings import MIB

# Longer than whoever shares this machine may have it stopped for.
_TIMEOUT_S: Final = 3600.0
_SAMPLES: Final = 40
_MEMORY: Final = "growth"
_PROCESSES: Final = {"MemoryHost": "host", "encoder": "encoder", "ingress": "ingress", "haproxy": "front"}
"""Part of a command line, and what that process is; all others are Ray's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPlan:
    """requests: with those of the warm-up, a third each observe, infer and surprise, of ``texts`` different ones.

    seconds: end after so long, however many were sent.
    """

    requests: int
    warm_up: int
    texts: int
    clients: int
    seconds: float


@dataclass(slots=True)
class _Seen:
    """RSS in MiB by kind of process after so many requests, in order."""

    samples: list[tuple[int, Counter[str]]] = field(default_factory=list)

    def take(self, sent: int) -> None:
        found: Counter[str] = Counter()
        for process in psutil.Process().children(recursive=True):
            try:
                found[_kind(process)] += process.memory_info().rss / MIB
            except psutil.Error:  # it has just ended
                continue
        self.samples.append((sent, found))

    def grown(self, since: int) -> Counter[str]:
        """From the first sample after ``since`` requests to the last one."""
        begun = next((found for sent, found in self.samples if sent >= since), self.samples[-1][1])
        last = self.samples[-1][1]
        return Counter({kind: last[kind] - begun[kind] for kind in last | begun})


def run_growth(folder: str, plan: GrowthPlan, *, front: str, progress: Progress) -> Report:
    """Start a service of its own on a volume in ``folder`` (encoder ``hash``), load it, stop it."""
    from deployments.serve_process import deploy, local_ray

    settings = loaded_service(folder)
    with local_ray():
        deploy(settings)
        seen, took_s = asyncio.run(_loaded(settings.base_url, plan, progress))
    sent = seen.samples[-1][0]
    grown, late = seen.grown(plan.warm_up), seen.grown((plan.warm_up + sent) // 2)
    before = sum(next((found for at, found in seen.samples if at >= plan.warm_up), Counter()).values())
    figures = {
        "requests": float(sent),
        "rss_growth_mib": sum(grown.values()),
        "rss_growth_ratio": 1.0 + sum(grown.values()) / before if before else 0.0,
        "rss_growth_second_half_mib": sum(late.values()),
        **{f"{kind}_growth_mib": grown[kind] for kind in sorted({*_PROCESSES.values(), "ray"})},
        "req_per_s": sent / took_s,
    }
    told = conditions(
        front=front,
        encoder="hash",
        n=sent,
        warm_up=plan.warm_up,
        texts=plan.texts,
        clients=plan.clients,
        samples=[[at, {kind: round(mib) for kind, mib in sorted(found.items())}] for at, found in seen.samples],
    )
    return Report(bench="growth", figures=figures, conditions=told)


async def _loaded(base_url: str, plan: GrowthPlan, progress: Progress) -> tuple[_Seen, float]:
    await create(base_url, {"name": _MEMORY, "class": "session"})
    numbers, seen, answered = itertools.count(), _Seen(), itertools.count(1)
    every = max(1, plan.requests // _SAMPLES)
    began_s = time.monotonic()
    limits = httpx.Limits(max_connections=plan.clients, max_keepalive_connections=plan.clients)

    async def send_all(client: httpx.AsyncClient) -> None:
        while (number := next(numbers)) < plan.requests and time.monotonic() - began_s < plan.seconds:
            path, body = _call(number, plan.texts)
            (await client.post(path, json=body)).raise_for_status()
            progress.advance(1)
            count = next(answered)
            if count == plan.warm_up or not count % every:
                seen.take(count)

    async with httpx.AsyncClient(base_url=base_url, timeout=_TIMEOUT_S, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(send_all(client) for _ in range(plan.clients)))
    took_s = time.monotonic() - began_s
    seen.take(next(answered) - 1)
    return seen, took_s


def _call(number: int, texts: int) -> Call:
    turn, which = divmod(number, 3)
    text = sentence(turn % texts)
    name, key = (("observe", "text"), ("infer", "prompt"), ("surprise", "text"))[which]
    body: dict[str, Any] = {key: text}
    return f"/v1/memories/{_MEMORY}/{name}", body


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((kind for part, kind in _PROCESSES.items() if part in line), "ray")
