"""The typed client against the HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deployments.access.authentication import KeyDoor
from deployments.access.key_shelf import KeyShelf
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore
from neural_memory import AsyncClient, Client, ForgetSelection, Observation

HASH = EncoderId("hash")
SMALL = {"units": 256, "rows": 256, "heads": 4, "active_rows": 16}
FACTS = ("The grey cat sleeps on the windowsill.", "Glass is made of sand.", "The ferry leaves at noon.")


async def own_pid(_: MemoryName) -> int:
    return 1


class Service:
    """Its loop-bound parts are made by the first request, on the loop of the client."""

    def __init__(self, folder: Path) -> None:
        self.shelf = KeyShelf(LocalStore(folder))
        encoders = LocalEncoderPool()
        backend = LocalBackend(LocalStore(folder), encoders)
        self.transport = httpx.ASGITransport(
            app=build_api(
                Services(
                    backend=backend,
                    encoders=encoders,
                    encoder=HASH,
                    readiness=Readiness(backend=backend, encoders=encoders, encoder=HASH),
                    max_body_bytes=1 << 20,
                    owner_pid=own_pid,
                    authenticator=KeyDoor(self.shelf.find),
                )
            )
        )
        self.key = self.shelf.create(scopes=frozenset({"observe", "infer", "admin"}))[0]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    async with AsyncClient("http://test", api_key=service.key, transport=service.transport) as opened:
        yield opened


def test_the_sync_client_does_everything(service: Service) -> None:
    with Client("http://test", api_key=service.key, transport=service.transport) as client:
        assert client.is_ready()
        assert client.create("one", **SMALL).name == "one"
        assert client.observe("one", FACTS).observation_count == 3
        assert client.observe("one", Observation(text="Ana likes tea.", session="s")).observation_count == 4
        assert client.rollback("one", 3).observations_lost == 1
        assert client.observe("one", Observation(text="Ana likes tea.", session="s")).observation_count == 4
        assert FACTS[1] in client.infer("one", "What is glass made of?").response
        known, new = client.surprise("one", [FACTS[0], "Orchids want filtered light."])
        assert known.score < new.score
        assert client.explain("one").patterns
        assert client.attention("one", "glass").rows
        assert client.predict_next("one", text=FACTS[0]).continuations
        assert client.consolidate("one").memory == "one"
        client.checkpoint("one", "v1", "first")
        assert [info.tag for info in client.checkpoints("one").checkpoints] == ["v1"]
        assert client.fork("one", "v1", "two").parent == "one"
        client.observe("two", "Only the child knows of zebras.")
        client.checkpoint("two", "v2")
        assert client.diff("one", "two", other_tag="v2").shared_count > 0
        assert client.merge("one", "two", tag="v2").texts_merged == 1
        assert client.forget("one", ForgetSelection(subject="zebras"), dry_run=True).exemplars_removed == 1
        assert client.restore("one", "v1").tag == "v1"
        assert [info.name for info in client.memories()] == ["one", "two"]
        client.delete("two")
        with pytest.raises(NotFound):
            client.stats("two")
    client.close()


async def test_the_async_client_repeats_an_observe_without_learning_twice(client: AsyncClient) -> None:
    await client.create("one", **SMALL)
    for _ in range(2):
        answer = await client.observe("one", FACTS, idempotency_key="k1")
    assert (answer.is_replayed_answer, answer.observation_count) == (True, 3)
    assert [info.name async for info in client.memories()] == ["one"]


async def test_errors_keep_their_kind(service: Service, client: AsyncClient) -> None:
    await client.create("one", **SMALL)
    with pytest.raises(Conflict):
        await client.create("one")
    with pytest.raises(InvalidInput):
        await client.stats("../etc")
    async with AsyncClient("http://test", transport=service.transport) as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.stats("one")
