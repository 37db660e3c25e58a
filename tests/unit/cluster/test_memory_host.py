"""The owner of a memory as a plain object: no cluster is needed to see how it behaves."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cluster import resident
from cluster.memory_host import HostLimits, HostLinks, MemoryHost
from cluster.resident import Resident, Tenant
from cluster.volume_actor import VolumeActor
from memory_core.errors import Conflict, CorruptData, Fenced, NotFound, Overloaded, Unavailable
from memory_core.ids import MemoryName, RequestId
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.results import EncodedObservation, Observation, ObserveOptions, ObserveResult
from memory_core.state import MemoryState
from memory_core.storage.catalog import Catalog
from memory_core.storage.open_store import open_store
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


class OneMemory:
    """A host as the process of one memory sees it."""

    def __init__(self, url: str, name: MemoryName = NAME, limits: HostLimits | None = None) -> None:
        self.host = MemoryHost(url, limits)
        self.tenant = tenant_of(url, name)

    async def read(self, method: str, *args: Any, **options: Any) -> Any:
        return await self.host.read(self.tenant, method, *args, **options)

    async def write(self, method: str, *args: Any, **options: Any) -> Any:
        return await self.host.write(self.tenant, method, *args, **options)

    @property
    def resident(self) -> Resident:
        return self.host._residents[self.tenant.uid]


def tenant_of(url: str, name: MemoryName, *, is_pinned: bool = False) -> Tenant:
    try:
        return Tenant(Catalog(open_store(url)).find(name).uid, name, is_pinned)
    except NotFound:
        return Tenant("no uid", name)


async def learn(owner: OneMemory, text: str) -> ObserveResult:
    result = await owner.write("observe", encoded(text), ObserveOptions())
    assert isinstance(result, ObserveResult)
    return result


async def writes_settled(owner: OneMemory) -> None:
    """A write whose caller is gone is only visible in what the resident still counts."""
    async with asyncio.timeout(10):
        while owner.resident._pending_writes:
            await asyncio.sleep(0.01)


async def until_passive(host: MemoryHost) -> None:
    async with asyncio.timeout(30):
        while (await host.report()).residents:
            await asyncio.sleep(0.01)


async def test_an_owner_recovers_what_its_predecessor_acknowledged(url: str) -> None:
    await learn(OneMemory(url), "one fact")
    assert (await OneMemory(url).read("stats")).observation_count == 1


async def test_a_fenced_owner_refuses_everything_and_never_claims_back_by_itself(url: str) -> None:
    zombie = OneMemory(url)
    await zombie.read("stats")
    successor = OneMemory(url)
    await learn(successor, "from the successor")
    for _ in range(2):
        with pytest.raises(Fenced):
            await learn(zombie, "from the zombie")
    with pytest.raises(Fenced):
        await zombie.read("stats")
    assert (await learn(successor, "still mine")).observation_count == 2


async def test_a_fenced_owner_that_is_told_to_release_serves_again(url: str) -> None:
    first, second = OneMemory(url), OneMemory(url)
    await first.read("stats")
    await learn(second, "from the second")
    with pytest.raises(Fenced):
        await learn(first, "too late")
    await first.host.release(first.tenant.uid)
    assert (await learn(first, "again")).observation_count == 2


async def test_a_writer_that_failed_is_opened_again_by_the_next_call(url: str) -> None:
    owner = OneMemory(url)
    await learn(owner, "one fact")
    before = await owner.read("stats")
    (await owner.resident._writer()).close()
    after = await owner.read("stats")
    assert (after.observation_count, after.epoch > before.epoch) == (1, True)


async def test_an_owner_of_nothing_says_so_each_time_it_is_asked_and_keeps_nothing(url: str) -> None:
    owner = OneMemory(url, MemoryName("nobody"))
    for _ in range(2):
        with pytest.raises(NotFound):
            await owner.read("stats")
    assert (await owner.host.report()).residents == ()


async def test_a_later_memory_of_the_same_name_is_not_disturbed(url: str) -> None:
    old = OneMemory(url)
    volume = VolumeActor(url)
    await volume.delete(NAME, old.tenant.uid)
    await volume.create(NAME, small_config())
    new = OneMemory(url)
    await learn(new, "of the new one")
    with pytest.raises(NotFound):
        await old.read("stats")
    assert (await learn(new, "undisturbed")).observation_count == 2


async def test_keys_of_another_encoder_version_are_refused(url: str) -> None:
    owner = OneMemory(url)
    with pytest.raises(Conflict) as raised:
        await owner.write("observe", encoded("x"), ObserveOptions(), fingerprint="another")
    assert raised.value.code == "ENCODER_MISMATCH"
    assert (await owner.read("stats")).observation_count == 0


async def test_a_write_finishes_although_its_caller_is_cancelled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = OneMemory(url)
    await owner.read("stats")
    has_begun, may_go_on = threading.Event(), threading.Event()
    observe = MemoryWriter.observe

    def held(self: MemoryWriter, *args: object) -> ObserveResult:
        has_begun.set()
        assert may_go_on.wait(10)
        return observe(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryWriter, "observe", held)
    call = asyncio.create_task(learn(owner, "one fact"))
    await asyncio.to_thread(has_begun.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not owner.resident.is_idle
    may_go_on.set()
    monkeypatch.setattr(MemoryWriter, "observe", observe)
    await writes_settled(owner)
    await learn(owner, "another fact")
    assert (await owner.read("stats")).observation_count == 2


async def test_too_many_waiting_writes_are_refused_and_reads_are_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "WRITES_PENDING_MAX", 2)
    owner = OneMemory(url)
    await owner.read("stats")
    results = await asyncio.gather(*(learn(owner, f"fact {n}") for n in range(8)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Overloaded)]
    assert (len(refused), all(error.retry_after_s for error in refused)) == (6, True)
    assert (await owner.read("stats")).observation_count == 2


async def test_an_idle_memory_is_folded_released_and_comes_back(url: str) -> None:
    owner = OneMemory(url, limits=HostLimits(idle_ttl_s=0.2))
    await learn(owner, "one fact")
    before = await owner.read("stats")
    await until_passive(owner.host)
    head = MemoryWriter.open(open_store(url), NAME)
    assert (head._owner.life.journal_records, head.stats().weight_hash) == (0, before.weight_hash)
    head.close()
    after = await owner.read("stats")
    assert (after.observation_count, after.epoch > before.epoch) == (1, True)


async def several(url: str, count: int, *, is_pinned: bool = False) -> list[Tenant]:
    names = [MemoryName(f"m{number}") for number in range(count)]
    for name in names:
        await VolumeActor(url).create(name, small_config())
    return [tenant_of(url, name, is_pinned=is_pinned) for name in names]


async def test_the_longest_unused_memory_makes_room_and_loses_nothing(url: str) -> None:
    one_state = MemoryState.create(small_config()).allocated_bytes
    host = MemoryHost(url, HostLimits(resident_bytes_max=2 * one_state))
    tenants = await several(url, 4)
    for tenant in tenants:
        await host.write(tenant, "observe", encoded(f"told to {tenant.name}"), ObserveOptions())
    report = await host.report()
    assert (report.residents, report.state_bytes, report.passivations) == (("m2", "m3"), 2 * one_state, 2)
    counts = [(await host.read(tenant, "stats")).observation_count for tenant in tenants]
    assert counts == [1, 1, 1, 1]


async def test_pinned_memories_stay_and_a_full_host_says_so(url: str) -> None:
    host = MemoryHost(url, HostLimits(idle_ttl_s=0.2, resident_bytes_max=1))
    first, second = await several(url, 2, is_pinned=True)
    await host.read(first, "stats")
    await asyncio.sleep(0.5)
    with pytest.raises(Overloaded) as raised:
        await host.read(second, "stats")
    assert (raised.value.code, (await host.report()).residents) == ("HOST_FULL", ("m0",))


async def test_a_memory_that_cannot_be_opened_disturbs_no_neighbour(url: str, tmp_path: Path) -> None:
    host = MemoryHost(url)
    good, bad = await several(url, 2)
    await host.write(good, "observe", encoded("fine"), ObserveOptions())
    for head in (tmp_path / "volume").rglob(f"*{bad.uid}*/heads/*"):
        head.write_bytes(b"{ broken")
    results = await asyncio.gather(
        host.read(bad, "stats"), *(host.read(good, "stats") for _ in range(4)), return_exceptions=True
    )
    assert isinstance(results[0], CorruptData)
    assert [getattr(result, "observation_count", result) for result in results[1:]] == [1] * 4


async def test_calls_during_a_drain_are_answered_or_may_be_repeated(url: str) -> None:
    host = MemoryHost(url)
    tenants = await several(url, 3)
    learned = 0

    async def keep_learning(tenant: Tenant) -> None:
        nonlocal learned
        for number in range(10):
            for _ in range(50):
                options = ObserveOptions(request_id=RequestId(f"{tenant.name}-{number}"))
                try:
                    await host.write(tenant, "observe", encoded(f"{tenant.name} {number}"), options)
                    break
                except Unavailable as error:
                    assert error.code == "WRITER_ENDED"
            learned += 1

    await asyncio.gather(*(keep_learning(tenant) for tenant in tenants), *(host.drain() for _ in range(3)))
    counts = [(await host.read(tenant, "stats")).observation_count for tenant in tenants]
    assert (learned, counts) == (30, [10, 10, 10])
    assert await host.drain() == 3


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


async def test_a_host_publishes_versions_of_what_waited_for_long(url: str) -> None:
    limits = HostLimits(idle_ttl_s=3600.0, rhythm=CheckpointRhythm(every_s=0.2))
    memory = OneMemory(url, limits=limits)
    await memory.write("observe", encoded("Glass is made of sand."))
    async with asyncio.timeout(60):
        while not (tags := (await memory.read("stats")).checkpoint_tags):
            await asyncio.sleep(0.05)
    assert tags[0].startswith("auto-")


async def test_a_host_whose_memory_was_taken_publishes_nothing_and_claims_nothing_back(url: str) -> None:
    memory = OneMemory(url, limits=HostLimits(rhythm=CheckpointRhythm(every_s=3600.0)))
    await memory.write("observe", encoded("Glass is made of sand."))
    await memory.read("keep_time", datetime(2020, 1, 1, tzinfo=UTC))
    writer = MemoryWriter.open(open_store(url), NAME)
    await memory.resident.keep_time()
    with pytest.raises(Fenced):
        await memory.write("observe", encoded("The ferry leaves at noon."))
    assert (writer.is_usable, writer.stats().checkpoint_tags) == (True, ())
    writer.close()


async def test_memories_of_a_node_that_leaves_are_folded_before_the_process_ends(url: str) -> None:
    ended = asyncio.Event()
    leaves: list[bool] = []
    links = HostLinks(is_leaving=lambda: bool(leaves), end=ended.set)
    host = MemoryHost(url, HostLimits(idle_ttl_s=0.2), links)
    tenants = await several(url, 2, is_pinned=True)
    for tenant in tenants:
        await host.write(tenant, "observe", encoded("told"), ObserveOptions())
    leaves.append(True)
    async with asyncio.timeout(60):
        await ended.wait()
    assert (await host.report()).residents == ()
    other = MemoryHost(url)
    for tenant in tenants:
        assert (await other.read(tenant, "stats")).observation_count == 1
        assert other._residents[tenant.uid].journal_lag == 0  # nothing was left to replay


async def test_a_process_for_one_memory_ends_once_it_was_empty_for_long(url: str) -> None:
    ended = asyncio.Event()
    host = MemoryHost(url, HostLimits(idle_ttl_s=0.2, ends_when_empty=True), HostLinks(end=ended.set))
    (tenant,) = await several(url, 1)
    await host.write(tenant, "observe", encoded("told"), ObserveOptions())
    assert not ended.is_set()
    async with asyncio.timeout(60):
        await ended.wait()
    assert (await host.report()).passivations == 1
