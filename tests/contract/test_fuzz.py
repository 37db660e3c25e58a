"""A short run of the fuzz over HTTP, and proof that it would find something."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI, HTTPException

from deployments.bench.fuzz import run_fuzz
from deployments.bench.fuzz_http import fuzz_http_service
from deployments.ports import free_port

# The generator asks libraries of its own for what they are about to drop.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]


def test_no_request_of_a_short_fuzz_breaks_the_service() -> None:
    report = run_fuzz(http_cases=120, mcp_cases=30, seed=1, url=None)
    assert report.figures["http_cases"] >= 120
    assert report.conditions["server_errors"] == {}
    assert report.conditions["undocumented"] == {}
    assert report.figures["mcp_crashes"] == 0


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.config.port}"
    server.should_exit = True
    thread.join(20)


def test_a_service_that_breaks_is_found_out() -> None:
    app = FastAPI()

    @app.get("/breaks")
    async def breaks(number: int) -> int:
        if number % 2:
            raise HTTPException(418)
        return 1 // 0

    with served(app) as url:
        found = fuzz_http_service(url, 40)
    assert set(found.server_errors) == {"GET /breaks 500"}
    assert "GET /breaks 418" in found.undocumented
