"""A standby in this process: follows, answers behind, takes over, goes back; and where it is put."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster import ray_api, standbys
from cluster.memory_host import HostLinks
from cluster.placement import Needs, NodeFacts, Pool, unmet
from cluster.ray_api import OwnerLost
from cluster.ray_backend import RayBackend
from cluster.resident import Tenant
from cluster.standby_host import FollowRhythm, Home, StandbyHost
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import NotFound, Unavailable
from memory_core.ids import MemoryName, RequestId
from memory_core.local_backend import LocalBackend
from memory_core.placement_spec import PlacementSpec
from memory_core.results import ForgetSelection, InferOptions, Observation, ObserveOptions
from memory_core.storage.open_store import open_store
from memory_core.testing.small_memory import small_config
from memory_core.volume import Volume

NAME = MemoryName("notes")
WITH_STANDBY = PlacementSpec(standby=True)
ANY = InferOptions(consistency="any")


class SomeNodes:
    """Named owners as plain objects on nodes with names. One whose needs no node meets is pending: it answers never."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = list(nodes)
        self.owners: dict[str, Any] = {}
        self.node_of: dict[str, str] = {}
        self.is_home_back = True

    def facts(self) -> list[NodeFacts]:
        return [NodeFacts(total={"CPU": 2}, free={"CPU": 2}, node_id=node) for node in self.nodes]

    def owner_of(self, actor_name: str, kind: Any, needs: Needs, *args: Any) -> Any:
        if actor_name not in self.owners:
            node = next((node for node in self.nodes if node != needs.avoid_node), None)
            if node is None:
                self.owners[actor_name] = None
                return None
            self.node_of[actor_name] = node
            self.owners[actor_name] = kind(*(self._here(arg, node) for arg in args))
        return self.owners[actor_name]

    def _here(self, arg: Any, node: str) -> Any:
        if isinstance(arg, HostLinks):
            return HostLinks(own_node=lambda: node)
        if isinstance(arg, Home):
            rhythm = FollowRhythm(poll_s=0.01, return_after_s=0.0)
            return Home(has_owner=lambda: self.is_home_back, rhythm=rhythm)
        return arg

    def find_owner(self, actor_name: str) -> Any:
        return actor_name if actor_name in self.owners else None

    def end_owner(self, owner: Any) -> None:
        self.kill(owner)

    def kill(self, part: str) -> None:
        self.owners = {name: owner for name, owner in self.owners.items() if part not in name}

    async def call(self, owner: Any, method: str, *args: Any, timeout_s: float, **options: Any) -> Any:
        found = self.owners.get(owner, OwnerLost) if isinstance(owner, str) else owner
        if found is None:
            raise Unavailable("no answer")
        if found not in self.owners.values():
            raise OwnerLost("killed")
        owner = found
        return await asyncio.wait_for(getattr(owner, method)(*args, **options), timeout_s)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SomeNodes:
    some = SomeNodes("node-1", "node-2")
    for function in ("owner_of", "find_owner", "end_owner", "call"):
        monkeypatch.setattr(ray_api, function, getattr(some, function))
    monkeypatch.setattr(ray_api, "nodes", some.facts)
    monkeypatch.setattr(standbys, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(standbys, "_LOOK_SOON_S", 0.0)
    return some


@pytest.fixture
async def backend(cluster: SomeNodes, tmp_path: Path) -> AsyncIterator[RayBackend]:
    encoders = LocalEncoderPool()
    made = RayBackend((tmp_path / "volume").as_uri(), encoders)
    yield made
    for info in (await made.list_memories()).memories:
        await made.delete(info.name)
    encoders.close()


async def learn(backend: RayBackend | LocalBackend, text: str, request_id: str | None = None) -> int:
    options = ObserveOptions(request_id=None if request_id is None else RequestId(request_id))
    return (await backend.observe(NAME, [Observation(text=text)], options)).observation_count


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.01)


def standing(backend: RayBackend, status: str, seq: int | None = None) -> Callable[[], Any]:
    async def holds() -> bool:
        found = (await backend.placement(NAME)).standby
        return found is not None and found.status == status and seq in {None, found.seq}

    return holds


async def followed(backend: RayBackend) -> None:
    """A memory with one observation, which its standby knows."""
    await backend.create(NAME, small_config(placement=WITH_STANDBY))
    await learn(backend, "one")
    await until(standing(backend, "follows", 1))


async def test_a_standby_on_another_node_follows_and_answers_behind(backend: RayBackend, cluster: SomeNodes) -> None:
    await backend.create(NAME, small_config(placement=WITH_STANDBY))
    assert (await backend.infer(NAME, "What is the ferry?", ANY)).served_by == "owner"  # there is none yet
    await learn(backend, "The ferry leaves at noon.")
    await until(standing(backend, "follows", 1))
    report = await backend.placement(NAME)
    assert report.standby is not None
    assert (report.node, report.standby.node) == ("node-1", "node-2")
    behind = await backend.infer(NAME, "When does the ferry leave?", ANY)
    latest = await backend.infer(NAME, "When does the ferry leave?", InferOptions())
    assert (behind.served_by, behind.seq, behind.response) == ("standby", 1, latest.response)
    assert (latest.served_by, latest.seq) == ("owner", 1)


async def test_it_takes_over_with_the_next_epoch_and_loses_nothing(backend: RayBackend, cluster: SomeNodes) -> None:
    cluster.is_home_back = False
    await backend.create(NAME, small_config(placement=WITH_STANDBY))
    await learn(backend, "one", "r1")
    await until(standing(backend, "follows", 1))
    before = await backend.stats(NAME)
    cluster.kill("host:")
    assert await learn(backend, "two") == 2
    after = await backend.stats(NAME)
    assert (after.epoch, after.observation_count) == (before.epoch + 1, 2)
    assert await learn(backend, "one", "r1") == 1  # its first answer
    report = await backend.placement(NAME)
    assert report.standby is not None
    assert report.standby.status == "owns"


async def test_it_goes_back_to_following_once_its_owner_is_back(backend: RayBackend, cluster: SomeNodes) -> None:
    cluster.is_home_back = False
    await followed(backend)
    cluster.kill("host:")
    assert await learn(backend, "two") == 2
    cluster.is_home_back = True
    await until(standing(backend, "follows", 2))
    assert await learn(backend, "three") == 3
    assert (await backend.placement(NAME)).status == "resident"
    await until(standing(backend, "follows", 3))


async def test_an_owner_that_ended_for_good_is_made_again_and_the_memory_goes_home(
    backend: RayBackend, cluster: SomeNodes
) -> None:
    cluster.is_home_back = False
    await followed(backend)
    cluster.kill("host:")  # nobody restarts it, as after a drain
    assert await learn(backend, "two") == 2

    async def is_made_again() -> bool:
        await backend.stats(NAME)
        return any(name.startswith("host:") for name in cluster.owners)

    await until(is_made_again)
    cluster.is_home_back = True
    await until(standing(backend, "follows", 2))
    assert await learn(backend, "three") == 3


async def test_losing_the_standby_after_a_takeover_brings_the_owner_back(
    backend: RayBackend, cluster: SomeNodes
) -> None:
    cluster.is_home_back = False
    await followed(backend)
    for killed, count in (("host:", 2), ("standby:", 3), ("host:", 4)):
        cluster.kill(killed)
        assert await learn(backend, f"number {count}") == count


async def test_without_another_node_it_waits_and_says_so(backend: RayBackend, cluster: SomeNodes) -> None:
    cluster.nodes = ["node-1"]
    await backend.create(NAME, small_config(placement=WITH_STANDBY))
    await learn(backend, "one")
    await until(standing(backend, "waits: needs another node"))
    assert (await backend.infer(NAME, "one", ANY)).served_by == "owner"
    assert await learn(backend, "two") == 2


async def test_a_standby_on_its_owners_node_is_made_anew_elsewhere(backend: RayBackend, cluster: SomeNodes) -> None:
    await followed(backend)
    cluster.nodes = ["node-2"]  # its owner's node is lost
    cluster.kill("host:")
    await until(standing(backend, "follows"))
    await learn(backend, "two")
    cluster.nodes = ["node-2", "node-3"]

    async def is_apart() -> bool:
        await backend.stats(NAME)
        report = await backend.placement(NAME)
        return report.node == "node-2" and report.standby is not None and report.standby.node == "node-3"

    await until(is_apart)
    assert await learn(backend, "three") == 3


async def test_another_ingress_that_brings_the_owner_back_fences_the_standby(
    backend: RayBackend, cluster: SomeNodes, tmp_path: Path
) -> None:
    cluster.is_home_back = False
    await followed(backend)
    cluster.kill("host:")
    assert await learn(backend, "two") == 2
    other = RayBackend((tmp_path / "volume").as_uri(), backend._encoders)
    assert await learn(other, "three") == 3  # knows of no loss
    assert [await learn(one, "more") for one in (backend, other, backend)] == [4, 5, 6]


async def test_what_was_forgotten_is_not_answered_behind(backend: RayBackend) -> None:
    await backend.create(NAME, small_config(placement=WITH_STANDBY))
    await learn(backend, "The password is swordfish.")
    await until(standing(backend, "follows", 1))
    await backend.forget(NAME, ForgetSelection(subject="swordfish"))
    answer = await backend.infer(NAME, "What is the password?", ANY)
    assert (answer.served_by, answer.mode) == ("standby", "not_learned")


async def test_a_deleted_memory_has_no_standby(backend: RayBackend, cluster: SomeNodes) -> None:
    await followed(backend)
    await backend.delete(NAME)
    assert not any(name.startswith("standby:") for name in cluster.owners)
    with pytest.raises(NotFound):
        await backend.infer(NAME, "one", ANY)


async def test_a_standby_whose_memory_is_gone_ends(tmp_path: Path) -> None:
    url = (tmp_path / "volume").as_uri()
    encoders = LocalEncoderPool()
    local = LocalBackend(url, encoders)
    await local.create(NAME, small_config())
    uid = Volume(open_store(url)).find(NAME).uid
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    links = HostLinks(end=partial(loop.call_soon_threadsafe, ended.set))
    home = Home(has_owner=lambda: True, rhythm=FollowRhythm(poll_s=0.01))
    StandbyHost(url, Tenant(uid, NAME), home, links=links)
    await local.delete(NAME)
    async with asyncio.timeout(60):
        await ended.wait()
    await local.close()
    encoders.close()


def test_a_standby_needs_what_its_memory_needs_and_another_node() -> None:
    pool = Pool(volume_id="v", hosts=2, room_bytes=1 << 30)
    place = pool.standby_place("u", PlacementSpec(device="gpu", labels=("zone=a",), ram_mib=64, standby=True))
    needs = replace(place.needs, avoid_node="n1")
    assert (place.actor_name, needs.strategy) == ("standby:v:u", "spread")
    room = {"GPU": 1.0, "memory": float(1 << 30)}
    nodes = [NodeFacts(total=room, free=room, labels={"zone": "a"}, node_id=node) for node in ("n1", "n2")]
    assert unmet(needs, nodes) is None
    assert unmet(needs, nodes[:1]) == "needs 1 GPU and 64 MiB of memory and a node with zone=a and another node"
