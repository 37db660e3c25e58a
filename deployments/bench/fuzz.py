"""Both doors under generated and broken requests: nothing crashes, nothing answers what is not documented."""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from deployments.bench.fuzz_http import Found, fuzz_http_application, fuzz_http_service
from deployments.bench.fuzz_mcp import fuzz_mcp
from deployments.bench.fuzz_target import prepare_service, running_target
from deployments.bench.report import Report, conditions
from deployments.ports import free_port
from deployments.settings import Settings

REPLICAS: Final = 2


def run_served_fuzz(folder: str, *, http_cases: int, mcp_cases: int, seed: int, front: str) -> Report:
    """Fuzz a service of its own with two replicas of its doors, on a volume in ``folder``, through its HTTP front.

    ``front``: the one that the environment was prepared for.
    """
    from deployments.serve_process import deploy, local_ray

    settings = Settings(
        memory_storage_path=folder,
        port=free_port(),
        encoder="hash",
        host="127.0.0.1",
        auth="open",
        log_level="ERROR",
        ingress_replicas=REPLICAS,
    )
    with local_ray():
        deploy(settings)
        report = run_fuzz(http_cases=http_cases, mcp_cases=mcp_cases, seed=seed, url=settings.base_url)
    return replace(report, conditions={**report.conditions, "front": front, "replicas": REPLICAS})


def run_fuzz(*, http_cases: int, mcp_cases: int, seed: int, url: str | None, workers: int = 1) -> Report:
    """Fuzz the service at ``url``, which is left with what was sent to it; without one, an application of its own.

    ``workers``: processes that make HTTP cases, for an application each. Making a case takes more than answering.
    """
    found = _fuzz_http(http_cases, seed, url, workers)
    with _target(url) as base_url:
        sent, crashes = fuzz_mcp(f"{base_url}/mcp", mcp_cases, seed)
    figures = {
        "http_cases": float(found.cases),
        "http_5xx": float(found.server_errors.total()),
        "http_undocumented": float(found.undocumented.total()),
        "mcp_cases": float(sent),
        "mcp_crashes": float(crashes),
    }
    said = conditions(
        target="a running service" if url else "in process",
        seed=seed,
        workers=workers,
        http_answers=dict(sorted(found.answers.items())),
        server_errors=dict(found.server_errors),
        undocumented=dict(found.undocumented),
    )
    return Report(bench="fuzz", figures=figures, conditions=said)


def _fuzz_http(cases: int, seed: int, url: str | None, workers: int) -> Found:
    if not cases:
        return Found()
    if url is not None:
        prepare_service(url)
        return fuzz_http_service(url, cases, seed)
    if workers == 1:
        return fuzz_http_application(cases, seed)
    shares = [cases // workers + (number < cases % workers) for number in range(workers)]
    # A share's seeds are far from those of its neighbours, which grow by one with each round.
    seeds = [seed + 1_000_000 * number for number in range(workers)]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(fuzz_http_application, shares, seeds), Found())


@contextlib.contextmanager
def _target(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="nm-fuzz-") as folder, running_target(Path(folder) / "volume") as started:
        yield started
