"""Both doors under generated and broken requests: nothing crashes, nothing answers what is not documented."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deployments.bench.fuzz_http import fuzz_http
from deployments.bench.fuzz_mcp import fuzz_mcp
from deployments.bench.fuzz_target import prepare, running_target
from deployments.bench.report import Report, conditions


def run_fuzz(*, http_cases: int, mcp_cases: int, seed: int, url: str | None) -> Report:
    """Fuzz the service at ``url``, which is left with what was sent to it; without one, a service in this process."""
    with _target(url) as base_url:
        found = fuzz_http(base_url, http_cases, seed)
        sent, crashes = fuzz_mcp(f"{base_url}/mcp", mcp_cases, seed)
    figures = {
        "http_cases": float(found.cases),
        "http_5xx": float(found.server_errors.total()),
        "http_undocumented": float(found.undocumented.total()),
        "mcp_cases": float(sent),
        "mcp_crashes": float(crashes),
    }
    where = "a running service" if url else "in process"
    said = conditions(
        target=where, seed=seed, server_errors=dict(found.server_errors), undocumented=dict(found.undocumented)
    )
    return Report(bench="fuzz", figures=figures, conditions=said)


@contextlib.contextmanager
def _target(url: str | None) -> Iterator[str]:
    if url is not None:
        prepare(url)
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="nm-fuzz-") as folder, running_target(Path(folder) / "volume") as started:
        yield started
