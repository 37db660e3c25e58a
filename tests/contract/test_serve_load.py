"""The closed loop of ``bench serve`` against an application in this process."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from deployments.bench.fuzz_target import MEMORY, running_target
from deployments.bench.serve_load import batch_seconds, create, measure

OBSERVE = f"/v1/memories/{MEMORY}/observe"


async def test_a_loop_counts_what_was_answered_and_stops_at_a_refusal(tmp_path: Path) -> None:
    with running_target(tmp_path / "v") as url:
        load = await measure(url, "observe", lambda number: (OBSERVE, {"text": f"Fact {number}."}), 2, 0.3)
        assert load.requests > 0
        assert 0 < load.p50_ms <= load.p95_ms <= load.p99_ms
        assert load.req_per_s > 0
        async with httpx.AsyncClient(base_url=url) as client:
            learned = (await client.get(f"/v1/memories/{MEMORY}")).json()["observation_count"]
        assert learned >= load.requests
        with pytest.raises(httpx.HTTPStatusError):
            await measure(url, "broken", lambda _: (OBSERVE, {"text": ""}), 1, 0.2)
        await create(url, {"name": "batches", "class": "session"})
        batches = [
            ("/v1/memories/batches/observe", {"observations": [{"text": f"Fact {n} {m}."} for m in range(8)]})
            for n in range(3)
        ]
        assert await batch_seconds(url, batches) > 0
