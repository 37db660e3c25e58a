"""The whole service over loopback HTTP: proxy, ingress, encoder, actors."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.http_client import RemoteBackend
from deployments.ports import free_port
from deployments.settings import Settings
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.results import InferOptions, Observation, ObserveOptions

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

FACTS = ("The grey cat sleeps on the windowsill.", "Glass is made of sand.", "The ferry leaves at noon.")
SMALL = {"units": 256, "rows": 256, "heads": 4, "active_rows": 16}
BURSTS = 6
CLIENTS = 32


@pytest.fixture(scope="module")
def settings(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running service; its settings say where."""
    with warnings.catch_warnings():
        # Ray's own use of pydantic is not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ray import serve

        from deployments.serve_process import deploy

    volume = tmp_path_factory.mktemp("served") / "v"
    running = Settings(memory_storage_path=str(volume), port=free_port(), encoder="hash", log_level="WARNING")
    deploy(running)
    yield running
    serve.shutdown()


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[RemoteBackend]:
    remote = RemoteBackend(settings.base_url)
    yield remote
    for info in (await remote.list_memories()).memories:
        await remote.delete(info.name)
    await remote.close()


@pytest.fixture
async def memory(service: RemoteBackend, fresh_name: MemoryName) -> MemoryName:
    await service.create_chosen(fresh_name, SMALL)
    return fresh_name


def observations(*texts: str) -> list[Observation]:
    return [Observation(text=text) for text in texts]


async def test_a_memory_learns_answers_survives_sigkill_and_forks(service: RemoteBackend, memory: MemoryName) -> None:
    learned = await service.observe(memory, observations(*FACTS), ObserveOptions())
    assert [outcome.seq for outcome in learned.outcomes] == [1, 2, 3]
    known, new = await service.surprise(memory, [FACTS[0], "Orchids want filtered light."])
    assert known.score < 0.2 < new.score
    answer = await service.infer(memory, FACTS[1], InferOptions())
    assert FACTS[1] in answer.response
    await service.checkpoint(memory, Tag("v1"))
    before = await service.stats(memory)

    pid = await service.owner_pid(memory)
    os.kill(pid, signal.SIGKILL)
    assert await service.infer(memory, FACTS[1], InferOptions()) == answer
    after = await service.stats(memory)
    assert (after.weight_hash, after.observation_count) == (before.weight_hash, 3)
    assert await service.owner_pid(memory) != pid

    child = MemoryName(f"{memory}-child")
    await service.fork(memory, Tag("v1"), child)
    await service.observe(child, observations("Only the child knows of zebras."), ObserveOptions())
    assert ((await service.stats(child)).observation_count, (await service.stats(memory)).observation_count) == (4, 3)


async def test_errors_keep_their_kind_from_the_actor_to_the_client(service: RemoteBackend, memory: MemoryName) -> None:
    with pytest.raises(NotFound) as missing:
        await service.restore(memory, Tag("never"))
    with pytest.raises(Conflict) as taken:
        await service.create_chosen(memory, {})
    with pytest.raises(InvalidInput):
        await service.create_chosen(MemoryName("other"), {"encoder": "magic"})
    assert (missing.value.code, taken.value.code) == ("CHECKPOINT_NOT_FOUND", "MEMORY_EXISTS")


async def test_bad_input_is_refused_before_it_reaches_a_memory(settings: Settings, memory: MemoryName) -> None:
    async with httpx.AsyncClient(base_url=settings.base_url, timeout=30) as client:
        path = f"/v1/memories/{memory}/observe"
        headers = {"content-type": "application/json"}
        for content, status in (
            (b'{"text": "\\ud800"}', 422),
            (b'{"text": "' + b"x" * 10_000_000 + b'"}', 413),
            (b'{"text": "\xff"}', 400),
        ):
            answer = await client.post(path, content=content, headers=headers)
            assert answer.status_code == status
            assert set(answer.json()["error"]) == {"code", "message", "hint", "request_id"}
        assert (await client.get("/v1/memories/a%2Fb")).json()["error"]["code"] == "PATH_NOT_FOUND"


async def test_many_concurrent_observes_are_each_learned_once(service: RemoteBackend, memory: MemoryName) -> None:
    await asyncio.gather(
        *(service.observe(memory, observations(f"Fact {n} is {n * 7}."), ObserveOptions()) for n in range(40))
    )
    assert (await service.stats(memory)).observation_count == 40


async def test_after_bursts_of_clients_that_hang_up_a_call_answers_at_once(
    settings: Settings, service: RemoteBackend, memory: MemoryName
) -> None:
    await service.observe(memory, observations("Warm."), ObserveOptions())
    body = json.dumps({"text": "A client that hangs up."}).encode()
    head = f"POST /v1/memories/{memory}/observe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def hang_up() -> None:
        reader, writer = await asyncio.open_connection(settings.host, settings.port)
        writer.write(request)
        await writer.drain()
        with pytest.raises((TimeoutError, ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1_000_000), timeout=0.05)
        writer.close()

    for _ in range(BURSTS):
        await asyncio.gather(*(hang_up() for _ in range(CLIENTS)))
    answer = await asyncio.wait_for(
        service.observe(memory, observations("After the bursts."), ObserveOptions()), timeout=20
    )
    stats = await service.stats(memory)
    assert answer.observation_count <= stats.observation_count <= 2 + BURSTS * CLIENTS


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended, as killed owners do
        return ""


def test_the_ingress_has_not_loaded_torch(settings: Settings) -> None:
    processes = psutil.Process().children(recursive=True)
    (ingress,) = [one for one in processes if "ServeReplica:neural-memory:ingress" in command_line(one)]
    assert "libtorch" not in Path(f"/proc/{ingress.pid}/maps").read_text(encoding="utf-8")
