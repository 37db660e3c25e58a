"""Streams, files and terms through both clients, against a service of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deployments.bench.fuzz_target import SMALL, running_target
from deployments.client import AsyncClient, Client
from memory_core.errors import InvalidInput, NotFound, PreconditionFailed
from memory_core.results import InferResult, Observation
from memory_core.terms import TermsChange


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_target(tmp_path_factory.mktemp("v")) as started:
        yield started


def facts(count: int) -> list[str | Observation]:
    return [f"Fact {number} is {number * 7}." for number in range(count - 1)] + [Observation(text="Tin.", domain="ore")]


def test_the_plain_client_streams_and_moves_whole_memories(url: str, tmp_path: Path) -> None:
    with Client(url) as client:
        client.create("plain", **SMALL)
        learned = list(client.observe_stream("plain", iter(facts(70)), idempotency_key="k"))
        assert [one.observations for one in learned] == [64, 6]
        assert learned[-1].observation_count == 70
        again = list(client.observe_stream("plain", facts(70), idempotency_key="k"))
        assert all(one.is_replayed_answer for one in again)
        with pytest.raises(InvalidInput):
            list(client.observe_stream("plain", ["fine", ""]))
        *pieces, whole = client.infer_stream("plain", "Fact 3")
        assert isinstance(whole, InferResult)
        assert "".join(map(str, pieces)) == whole.response == client.infer("plain", "Fact 3").response
        file = tmp_path / "plain.nmem"
        assert client.export_to("plain", file) == file.stat().st_size
        made = client.import_from("copy", file)
        assert made.weight_hash == client.stats("plain").weight_hash == client.stats("copy").weight_hash
        with pytest.raises(NotFound):
            client.export_to("nobody", tmp_path / "none")
        assert not (tmp_path / "none").exists()


async def test_the_asyncio_client_streams_and_names_versions(url: str) -> None:
    async def told() -> AsyncIterator[str | Observation]:
        for one in facts(3):
            yield one

    async with AsyncClient(url) as client:
        await client.create("quick", **SMALL)
        before = (await client.stats("quick")).weight_hash
        assert [one.observations async for one in client.observe_stream("quick", told())] == [3]
        found = [one async for one in client.infer_stream("quick", "Tin", domain="ore")]
        assert isinstance(found[-1], InferResult)
        terms = await client.change("quick", TermsChange(description="ores", is_read_only=True))
        assert (await client.stats("quick")).terms == terms
        with pytest.raises(PreconditionFailed):
            await client.delete("quick", only_if=(before,))
        await client.delete("quick", only_if=(before, (await client.stats("quick")).weight_hash))
