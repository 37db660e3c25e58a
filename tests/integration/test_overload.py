"""More work than the encoders can take: callers are told to wait, before memory grows, and the service lives on."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.ports import free_port
from deployments.settings import MIB, Settings

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]

CALLERS = 400
# Above what the ingress encodes by itself.
TEXT = " ".join(f"Sentence number {number} says a little." for number in range(100))


@pytest.fixture
def service(ray_cluster: str, tmp_path: Path) -> Iterator[Settings]:
    with warnings.catch_warnings():
        # Ray's own use of pydantic is not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ray import serve

        from deployments.serve_process import deploy

    volume = str(tmp_path / "v")
    settings = Settings(
        memory_storage_path=volume, port=free_port(), encoder="hash", log_level="ERROR", encoder_queue=8
    )
    deploy(settings)
    yield settings
    serve.shutdown()


def encoders_mib() -> float:
    """RAM of the encoder processes of this machine that belong to this test."""
    found = [one for one in psutil.Process().children(recursive=True) if "encoder" in " ".join(one.cmdline())]
    return sum(one.memory_info().rss for one in found) / MIB


async def test_overload_is_answered_with_429_and_how_long_to_wait(service: Settings) -> None:
    limits = httpx.Limits(max_connections=CALLERS)
    async with httpx.AsyncClient(base_url=service.base_url, timeout=120, limits=limits, trust_env=False) as client:
        made = await client.post("/v1/memories", json={"name": "busy", "units": 64, "rows": 256, "heads": 4})
        assert made.status_code == 201, made.text
        body = {"texts": [TEXT] * 4}
        assert (await client.post("/v1/memories/busy/surprise", json=body)).status_code == 200
        before_mib = encoders_mib()
        answers = await asyncio.gather(*(client.post("/v1/memories/busy/surprise", json=body) for _ in range(CALLERS)))
        codes = Counter(one.status_code for one in answers)
        assert set(codes) == {200, 429}, codes
        assert all(int(one.headers["Retry-After"]) >= 1 for one in answers if one.status_code == 429)
        assert before_mib > 0
        assert encoders_mib() < before_mib + 256
        assert (await client.post("/v1/memories/busy/surprise", json=body)).status_code == 200
