"""RayBackend: the backend suite, and what only happens when owners are processes that die."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster import ray_api
from cluster.holders import drain_owners
from cluster.memory_host import MemoryHost
from cluster.placement import FanOut, Needs
from cluster.ray_backend import RayBackend
from cluster.resident import Tenant
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import Conflict, Fenced, InvalidInput, NotFound, Unavailable
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.local_backend import LocalBackend
from memory_core.placement_spec import PlacementSpec
from memory_core.results import InferOptions, Observation, ObserveOptions
from memory_core.storage.open_store import open_store
from memory_core.testing.backend_conformance import BackendConformance
from memory_core.testing.small_memory import encode_observations, small_config
from memory_core.writer import MemoryWriter

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

FACTS = ("The grey cat sleeps on the windowsill.", "Glass is made of sand.", "The ferry leaves at noon.")


class TestOverActors(BackendConformance):
    @pytest.fixture
    async def config(self) -> MemoryConfig:
        return small_config()

    @pytest.fixture
    async def backend(self, ray_backend: RayBackend) -> MemoryBackend:
        return ray_backend

    async def restart(self, backend: MemoryBackend) -> MemoryBackend:
        """Every process that owns a memory is killed; the backend itself stays, with handles to the dead."""
        assert isinstance(backend, RayBackend)
        for name in list(backend._known):
            os.kill(await backend.owner_pid(name), signal.SIGKILL)
        return backend


def observation(text: str) -> list[Observation]:
    return [Observation(text=text)]


async def kill_owner(backend: RayBackend, name: MemoryName) -> int:
    pid = await backend.owner_pid(name)
    os.kill(pid, signal.SIGKILL)
    return pid


async def test_sigkill_between_any_two_requests_loses_nothing(ray_backend: RayBackend, fresh_name: MemoryName) -> None:
    await ray_backend.create(fresh_name, small_config())
    killed = [await kill_owner(ray_backend, fresh_name)]
    for count, fact in enumerate(FACTS, start=1):
        result = await ray_backend.observe(fresh_name, observation(fact), ObserveOptions())
        before = await ray_backend.stats(fresh_name)
        assert (result.observation_count, before.observation_count) == (count, count)
        killed.append(await kill_owner(ray_backend, fresh_name))
        answer = await ray_backend.infer(fresh_name, fact, InferOptions())
        after = await ray_backend.stats(fresh_name)
        assert answer.patterns[0].exemplars[0].text == fact
        assert (after.weight_hash, after.observation_count) == (before.weight_hash, count)
        assert after.epoch > before.epoch
    saved = await ray_backend.checkpoint(fresh_name, Tag("v1"))
    killed.append(await kill_owner(ray_backend, fresh_name))
    assert (await ray_backend.restore(fresh_name, Tag("v1"))).weight_hash == saved.weight_hash
    killed.append(await kill_owner(ray_backend, fresh_name))
    assert (await ray_backend.stats(fresh_name)).observation_count == len(FACTS)
    assert len(set(killed)) == len(killed)


async def test_sigkill_in_the_middle_of_requests_neither_loses_nor_doubles(
    ray_backend: RayBackend, fresh_name: MemoryName
) -> None:
    await ray_backend.create(fresh_name, small_config())
    facts = [f"Fact number {number} is {number * 7}." for number in range(20)]
    pid = await ray_backend.owner_pid(fresh_name)

    async def kill_soon() -> None:
        while (await ray_backend.stats(fresh_name)).observation_count < 3:
            pass
        os.kill(pid, signal.SIGKILL)

    async def observe_all() -> None:
        for fact in facts:
            await ray_backend.observe(fresh_name, observation(fact), ObserveOptions())

    await asyncio.gather(observe_all(), kill_soon())
    assert (await ray_backend.stats(fresh_name)).observation_count == len(facts)
    assert await ray_backend.owner_pid(fresh_name) != pid


async def test_a_memory_whose_actor_is_gone_comes_back_on_the_next_call(
    ray_backend: RayBackend, fresh_name: MemoryName
) -> None:
    await ray_backend.create(fresh_name, small_config())
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    spec = ray_backend._seats.owner(await ray_backend._find(fresh_name))
    owner = ray_api.find_owner(spec.actor_name)
    assert owner is not None
    ray_api.end_owner(owner)
    assert (await ray_backend.stats(fresh_name)).observation_count == 1


async def test_a_memory_that_was_fenced_is_claimed_anew_and_the_call_succeeds(
    ray_backend: RayBackend, volume_url: str, fresh_name: MemoryName
) -> None:
    await ray_backend.create(fresh_name, small_config())
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    before = await ray_backend.stats(fresh_name)
    encoders = LocalEncoderPool()
    beside = LocalBackend(volume_url, encoders)
    await beside.observe(fresh_name, observation(FACTS[1]), ObserveOptions())
    await beside.close()
    encoders.close()
    result = await ray_backend.observe(fresh_name, observation(FACTS[2]), ObserveOptions())
    assert result.observation_count == 3
    assert (await ray_backend.stats(fresh_name)).epoch == before.epoch + 2


async def test_two_backends_share_one_owner(ray_backend: RayBackend, volume_url: str, fresh_name: MemoryName) -> None:
    encoders = LocalEncoderPool()
    other = RayBackend(volume_url, encoders)
    await ray_backend.create(fresh_name, small_config())
    pids = await asyncio.gather(*(backend.owner_pid(fresh_name) for backend in (ray_backend, other) * 3))
    assert len(set(pids)) == 1
    encoders.close()


async def test_another_backends_delete_and_create_is_noticed(
    ray_backend: RayBackend, volume_url: str, fresh_name: MemoryName
) -> None:
    encoders = LocalEncoderPool()
    other = RayBackend(volume_url, encoders)
    await ray_backend.create(fresh_name, small_config())
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    await other.delete(fresh_name)
    with pytest.raises(NotFound):
        await ray_backend.stats(fresh_name)
    await other.create(fresh_name, small_config())
    assert (await ray_backend.stats(fresh_name)).observation_count == 0
    encoders.close()


async def test_no_process_is_started_for_a_name_that_does_not_exist(ray_backend: RayBackend) -> None:
    with pytest.raises(NotFound):
        await ray_backend.stats(MemoryName("nobody"))
    assert ray_backend._owners._known.keys() <= {ray_backend._catalog.actor_name}


async def names_of(backend: RayBackend, count: int, **placement: object) -> list[MemoryName]:
    """Fresh memories with one fact each."""
    names = [MemoryName(f"many-{number}-{uuid.uuid4().hex[:8]}") for number in range(count)]
    config = small_config(placement=PlacementSpec.from_dict(dict(placement)))
    for name in names:
        await backend.create(name, config)
    await asyncio.gather(*(backend.observe(name, observation(f"told {name}"), ObserveOptions()) for name in names))
    return names


async def test_many_memories_share_few_processes_and_one_that_asks_has_its_own(ray_backend: RayBackend) -> None:
    names = await names_of(ray_backend, 12)
    shared = {await ray_backend.owner_pid(name) for name in names}
    (alone,) = await names_of(ray_backend, 1, isolation="dedicated")
    assert (len(shared), await ray_backend.owner_pid(alone) in shared) == (ray_backend._settings.shared_hosts, False)
    found = await ray_backend.placement(alone)
    assert (found.status, found.is_shared, found.pid) == ("resident", False, await ray_backend.owner_pid(alone))


async def test_a_drained_memory_is_passive_and_opens_with_nothing_to_replay(
    ray_backend: RayBackend, volume_url: str
) -> None:
    names = await names_of(ray_backend, 3)
    assert await asyncio.to_thread(drain_in_thread) >= 3
    assert {(await ray_backend.placement(name)).status for name in names} == {"passive"}
    writer = MemoryWriter.open(open_store(volume_url), names[0])
    assert writer._owner.life.journal_records == 0
    writer.close()
    assert [(await ray_backend.stats(name)).observation_count for name in names] == [1, 1, 1]


def drain_in_thread() -> int:
    return drain_owners(30)


async def test_a_memory_that_needs_a_gpu_is_pending_and_says_so_without_one(
    ray_backend: RayBackend, fresh_name: MemoryName
) -> None:
    await ray_backend.create(fresh_name, small_config(placement=PlacementSpec(device="gpu")))
    with pytest.raises(Unavailable) as raised:
        await ray_backend.stats(fresh_name)
    found = await ray_backend.placement(fresh_name)
    assert (raised.value.code, found.status) == ("PENDING", "pending: needs 1 GPU")


async def test_forks_with_needs_start_together_or_not_at_all(ray_backend: RayBackend, fresh_name: MemoryName) -> None:
    config = small_config(placement=PlacementSpec(isolation="dedicated", ram_mib=64))
    await ray_backend.create(fresh_name, config)
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    await ray_backend.checkpoint(fresh_name, Tag("v1"))
    made = await ray_backend.fork_many(fresh_name, Tag("v1"), MemoryName(f"{fresh_name}-f"), 2)
    here = (await ray_backend.placement(fresh_name)).node
    assert [(await ray_backend.placement(fork)).node for fork in made.forks] == [here, here]
    room_mib = int(ray_api.nodes()[0].free["memory"]) >> 20
    wanted = FanOut(needs=Needs(ram_bytes=room_mib << 19), count=3)
    assert ray_api.nodes_for(wanted, 1.0) is None
    assert "of which 2 fit now" in (wanted.unmet(ray_api.nodes()) or "")


async def test_a_standby_waits_for_another_node_and_says_so(ray_backend: RayBackend, fresh_name: MemoryName) -> None:
    await ray_backend.create(fresh_name, small_config(placement=PlacementSpec(standby=True)))
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    async with asyncio.timeout(60):
        while True:
            report = await ray_backend.placement(fresh_name)
            assert report.standby is not None
            if report.standby.status != "absent":
                break
            await asyncio.sleep(0.1)
    assert report.standby.status == "waits: needs another node"
    answer = await ray_backend.infer(fresh_name, FACTS[0], InferOptions(consistency="any"))
    assert (answer.served_by, answer.seq) == ("owner", 1)


async def test_keys_of_another_encoder_version_are_refused(ray_backend: RayBackend, fresh_name: MemoryName) -> None:
    await ray_backend.create(fresh_name, small_config())

    async def encode_otherwise(*_: object) -> object:
        encoded = await ray_backend._encoders.encode(small_config().encoder, [FACTS[0]])
        return encoded, "another fingerprint"

    ray_backend._encode = encode_otherwise  # type: ignore[method-assign,assignment]
    with pytest.raises(Conflict) as raised:
        await ray_backend.infer(fresh_name, FACTS[0], InferOptions())
    assert raised.value.code == "ENCODER_MISMATCH"


async def test_a_write_whose_caller_is_gone_still_finishes(ray_backend: RayBackend, fresh_name: MemoryName) -> None:
    await ray_backend.create(fresh_name, small_config())
    await ray_backend.stats(fresh_name)
    options = ObserveOptions(request_id=RequestId("gone"))
    for _ in range(8):
        calls = [
            asyncio.ensure_future(ray_backend.observe(fresh_name, observation(FACTS[0]), options)) for _ in range(8)
        ]
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    again = await ray_backend.observe(fresh_name, observation(FACTS[0]), options)
    assert (again.observation_count, (await ray_backend.stats(fresh_name)).observation_count) == (1, 1)


def test_a_volume_in_ram_cannot_be_shared() -> None:
    with pytest.raises(InvalidInput):
        RayBackend("memory://volume", LocalEncoderPool())


def test_the_cluster_package_is_ours_and_loads_no_torch() -> None:
    import subprocess

    import cluster

    assert Path(cluster.__file__).resolve().parent.name == "cluster"
    program = "import sys, cluster.ray_backend; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
async def test_prometheus_finds_the_figures_of_hosts_at_each_node(
    ray_backend: RayBackend, fresh_name: MemoryName
) -> None:
    await ray_backend.create(fresh_name, small_config())
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    wanted = {f"ray_neural_memory_{name}" for name in ("observations", "epoch_changes", "stage_seconds", "surprise")}
    (url,) = ray_api.metrics_urls()
    async with httpx.AsyncClient(trust_env=False) as prometheus, asyncio.timeout(90):
        while True:
            scraped = list(text_string_to_metric_families((await prometheus.get(url)).text))
            found = {family.name for family in scraped}
            if all(any(name.startswith(one) for name in found) for one in wanted):
                break
            await asyncio.sleep(1)
    samples = [sample for family in scraped for sample in family.samples if "neural_memory_" in sample.name]
    assert any(sample.name.endswith("stage_seconds_count") and sample.value > 0 for sample in samples)
    assert fresh_name not in str(samples)
    await ray_backend.delete(fresh_name)


@pytest.mark.slow
async def test_a_zombie_whose_process_was_stopped_is_fenced_at_its_next_write(
    ray_backend: RayBackend, volume_url: str, fresh_name: MemoryName
) -> None:
    await ray_backend.create(fresh_name, small_config(placement=PlacementSpec(isolation="dedicated")))
    await ray_backend.observe(fresh_name, observation(FACTS[0]), ObserveOptions())
    known = await ray_backend._find(fresh_name)
    spec, tenant = ray_backend._seats.owner(known), Tenant(known.uid, fresh_name)
    zombie = ray_api.find_owner(spec.actor_name)
    assert zombie is not None
    pid, before = await ray_backend.owner_pid(fresh_name), await ray_backend.stats(fresh_name)
    successor = ray_api.owner_of(f"host:successor:{fresh_name}", MemoryHost, Needs(), volume_url)
    os.kill(pid, signal.SIGSTOP)
    try:
        item = encode_observations(FACTS[1])
        taken = await ray_api.call(successor, "write", tenant, "observe", item, ObserveOptions(), timeout_s=90)
        stats = await ray_api.call(successor, "read", tenant, "stats", timeout_s=60)
        assert (taken.observation_count, stats.epoch) == (2, before.epoch + 1)
    finally:
        os.kill(pid, signal.SIGCONT)
    for _ in range(2):
        with pytest.raises(Fenced):
            await ray_api.call(zombie, "write", tenant, "observe", item, ObserveOptions(), timeout_s=60)
    assert (await ray_api.call(successor, "read", tenant, "stats", timeout_s=60)).observation_count == 2
    # Its name is free to lead to it again: told to release, it claims anew and has lost nothing.
    after = await ray_backend.observe(fresh_name, observation(FACTS[2]), ObserveOptions())
    assert (after.observation_count, (await ray_backend.stats(fresh_name)).epoch) == (3, before.epoch + 2)
    ray_api.end_owner(successor)
