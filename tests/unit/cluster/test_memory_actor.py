"""The owner of a memory as a plain object: no cluster is needed to see how it behaves."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from cluster import memory_actor
from cluster.memory_actor import MemoryActor
from cluster.volume_actor import VolumeActor
from memory_core.errors import Conflict, Fenced, NotFound, Overloaded, Unavailable
from memory_core.ids import MemoryName
from memory_core.results import EncodedObservation, Observation, ObserveOptions, ObserveResult
from memory_core.testing.small_memory import hash_encoder, small_config
from memory_core.writer import MemoryWriter

NAME = MemoryName("notes")


@pytest.fixture
async def url(tmp_path: Path) -> str:
    volume_url = (tmp_path / "volume").as_uri()
    await VolumeActor(volume_url).create(NAME, small_config())
    return volume_url


def encoded(text: str) -> list[EncodedObservation]:
    (keys,) = hash_encoder().encode([text])
    return [EncodedObservation(observation=Observation(text=text), encoded=keys)]


async def learn(actor: MemoryActor, text: str) -> ObserveResult:
    result = await actor.write("observe", encoded(text), ObserveOptions())
    assert isinstance(result, ObserveResult)
    return result


async def writes_settled(actor: MemoryActor) -> None:
    """A write whose caller is gone is only visible in what the actor still counts."""
    async with asyncio.timeout(10):
        while actor._pending_writes:
            await asyncio.sleep(0.01)


async def test_an_owner_recovers_what_its_predecessor_acknowledged(url: str) -> None:
    await learn(MemoryActor(url, NAME), "one fact")
    assert (await MemoryActor(url, NAME).read("stats")).observation_count == 1


async def test_a_fenced_owner_refuses_everything_and_never_claims_back(url: str) -> None:
    zombie = MemoryActor(url, NAME)
    await zombie.read("stats")
    successor = MemoryActor(url, NAME)
    await learn(successor, "from the successor")
    for _ in range(2):
        with pytest.raises(Fenced):
            await learn(zombie, "from the zombie")
    with pytest.raises(Fenced):
        await zombie.read("stats")
    assert (await learn(successor, "still mine")).observation_count == 2


async def test_a_writer_that_failed_is_opened_again_by_the_next_call(url: str) -> None:
    actor = MemoryActor(url, NAME)
    await learn(actor, "one fact")
    before = await actor.read("stats")
    (await actor._writer()).close()
    after = await actor.read("stats")
    assert (after.observation_count, after.epoch > before.epoch) == (1, True)


async def test_an_owner_of_nothing_says_so_each_time_it_is_asked(url: str) -> None:
    actor = MemoryActor(url, MemoryName("nobody"))
    for _ in range(2):
        with pytest.raises(NotFound):
            await actor.read("stats")


async def test_keys_of_another_encoder_version_are_refused(url: str) -> None:
    actor = MemoryActor(url, NAME)
    with pytest.raises(Conflict) as raised:
        await actor.write("observe", encoded("x"), ObserveOptions(), fingerprint="another")
    assert raised.value.code == "ENCODER_MISMATCH"
    assert (await actor.read("stats")).observation_count == 0


async def test_a_write_finishes_although_its_caller_is_cancelled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = MemoryActor(url, NAME)
    await actor.read("stats")
    has_begun, may_go_on = threading.Event(), threading.Event()
    observe = MemoryWriter.observe

    def held(self: MemoryWriter, *args: object) -> ObserveResult:
        has_begun.set()
        assert may_go_on.wait(10)
        return observe(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryWriter, "observe", held)
    call = asyncio.create_task(learn(actor, "one fact"))
    await asyncio.to_thread(has_begun.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_go_on.set()
    monkeypatch.setattr(MemoryWriter, "observe", observe)
    await writes_settled(actor)
    await learn(actor, "another fact")
    assert (await actor.read("stats")).observation_count == 2


async def test_too_many_waiting_writes_are_refused_and_reads_are_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_actor, "WRITES_PENDING_MAX", 2)
    actor = MemoryActor(url, NAME)
    results = await asyncio.gather(*(learn(actor, f"fact {n}") for n in range(8)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Overloaded)]
    assert (len(refused), all(error.retry_after_s for error in refused)) == (6, True)
    assert (await actor.read("stats")).observation_count == 2


async def test_a_volume_that_cannot_be_opened_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    blocker = tmp_path / "volume"
    blocker.write_text("a file where the folder should be", encoding="utf-8")
    volume = VolumeActor(blocker.as_uri())
    with pytest.raises(Unavailable):
        await volume.list_memories(10, None)
    blocker.unlink()
    assert (await volume.list_memories(10, None)).memories == ()


async def test_only_the_memory_that_was_meant_is_deleted(url: str) -> None:
    volume = VolumeActor(url)
    with pytest.raises(NotFound):
        await volume.delete(NAME, "the uid of an earlier one")
    await volume.delete(NAME, (await volume.find(NAME)).uid)
    assert (await volume.list_memories(10, None)).memories == ()
