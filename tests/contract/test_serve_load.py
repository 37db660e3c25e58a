"""The closed loop of ``bench serve`` against an application in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from deployments.bench.fuzz_target import MEMORY, running_target
from deployments.bench.lean_client import lean_client
from deployments.bench.serve_load import create, measure, seconds_of

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
        assert len([took_s for took_s in await seconds_of(url, batches) if took_s > 0]) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"is": true}',
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"is"\r\n7\r\n: true}\r\n0\r\n\r\n',
    ],
)
async def test_the_lean_client_reads_each_answer_whole(answer: bytes) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            asked.append(await reader.readuntil(b'"x": 1}'))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, lean_client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        for _ in range(2):
            assert await client.post("/path", {"x": 1}) == b'{"is": true}'
    assert [one.startswith(b"POST /path HTTP/1.1\r\n") for one in asked] == [True, True]
