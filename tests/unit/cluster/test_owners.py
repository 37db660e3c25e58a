"""Calls to owners that die, are fenced or answer twice, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster import ray_api
from cluster.owners import Call, Owners, OwnerSpec, is_after_loss
from cluster.placement import Needs, NodeFacts
from cluster.ray_api import OwnerLost
from cluster.ray_backend import RayBackend
from cluster.volume_actor import KnownMemory
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import Conflict, Fenced, NotFound, Overloaded, Unavailable
from memory_core.ids import MemoryName, Seq, Tag
from memory_core.results import CheckpointInfo, CheckpointPage, ForkResult, MemoryInfo
from memory_core.testing.small_memory import small_config

SPEC = OwnerSpec("owner", object, ())
NAME = MemoryName("notes")
INFO = MemoryInfo(name=NAME, encoder="hash", variant="sparse", units=64, key_dim=384, created_at="now")


class Script:
    """Stands in for the cluster: answers calls from a list, by method; counts the owners made and ended."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.made = 0
        self.ended = 0
        self.there: str | None = None
        self.called: list[tuple[str, str]] = []

    def owner_of(self, actor_name: str, kind: type, needs: Needs, *args: Any) -> str:
        self.made += 1
        return f"{actor_name}#{self.made}"

    def find_owner(self, actor_name: str) -> str | None:
        return self.there

    def nodes(self) -> list[NodeFacts]:
        return [NO_GPU]

    def end_owner(self, owner: str) -> None:
        self.ended += 1

    async def call(self, owner: str, method: str, *args: Any, timeout_s: float, **options: Any) -> Any:
        wanted = args[1] if method in {"read", "write"} else method
        self.called.append((owner, wanted))
        answer = self.answers[wanted].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    for function in ("owner_of", "find_owner", "end_owner", "call", "nodes"):
        monkeypatch.setattr(ray_api, function, getattr(script, function))
    return script


@pytest.fixture
def backend(script: Script) -> RayBackend:
    script.answers["find"] = [KnownMemory(uid="u1", info=INFO)] * 4
    return RayBackend("file:///nowhere", LocalEncoderPool())


async def test_a_lost_owner_is_made_again_and_called_again(script: Script) -> None:
    script.answers["pid"] = [OwnerLost(), OwnerLost(), 7]
    assert await Owners(10).call(SPEC, Call("pid")) == 7
    assert (script.made, script.ended) == (3, 0)


async def test_after_fenced_the_owner_that_the_name_leads_to_is_told_to_claim_anew(script: Script) -> None:
    script.there = "the successor"
    script.answers["pid"] = [Fenced("taken over"), 7]
    script.answers["release"] = [None]
    spec = replace(SPEC, tenant_uid="u1")
    assert await Owners(10).call(spec, Call("pid")) == 7
    assert (script.made, script.ended, script.called) == (
        2,
        0,
        [("owner#1", "pid"), ("the successor", "release"), ("owner#2", "pid")],
    )


async def test_a_full_host_is_asked_again_until_the_deadline(script: Script) -> None:
    script.answers["pid"] = [Overloaded("full", code="HOST_FULL"), 7]
    assert await Owners(10).call(SPEC, Call("pid")) == 7
    script.answers["pid"] = [Overloaded("full", code="HOST_FULL")] * 100
    with pytest.raises(Overloaded):
        await Owners(0.05).call(SPEC, Call("pid"))


NO_GPU = NodeFacts(total={"CPU": 4}, free={"CPU": 4})


async def test_what_no_node_has_is_pending_and_not_a_hang(script: Script) -> None:
    script.answers["pid"] = [Unavailable("no answer")]
    with pytest.raises(Unavailable) as raised:
        await Owners(10).call(replace(SPEC, needs=Needs(gpus=1)), Call("pid"))
    assert (raised.value.code, raised.value.message) == ("PENDING", "The memory is pending: needs 1 GPU.")
    script.answers["pid"] = [7, 7]
    assert await Owners(10).call(replace(SPEC, needs=Needs(gpus=1)), Call("pid")) == 7


async def test_a_writer_that_ended_under_the_call_is_called_again(script: Script) -> None:
    script.answers["pid"] = [Unavailable("ended", code="WRITER_ENDED"), 7]
    assert await Owners(10).call(SPEC, Call("pid")) == 7


async def test_an_owner_that_stays_away_is_unavailable_at_the_deadline(script: Script) -> None:
    script.answers["pid"] = [OwnerLost()] * 100
    with pytest.raises(Unavailable) as raised:
        await Owners(0.05).call(SPEC, Call("pid"))
    assert raised.value.retryable


@pytest.mark.parametrize("losses", [0, 1])
async def test_an_error_says_whether_an_earlier_try_may_have_done_the_work(script: Script, losses: int) -> None:
    script.answers["pid"] = [OwnerLost()] * losses + [Conflict("exists")]
    with pytest.raises(Conflict) as raised:
        await Owners(10).call(SPEC, Call("pid"))
    assert is_after_loss(raised.value) == bool(losses)


async def test_nothing_is_made_for_what_is_not_admitted(script: Script) -> None:
    async def refuse() -> None:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        await Owners(10).call(SPEC, Call("pid"), refuse)
    assert script.made == 0


async def test_a_create_whose_first_answer_was_lost_succeeds(script: Script, backend: RayBackend) -> None:
    script.answers["create"] = [OwnerLost(), Conflict("exists", code="MEMORY_EXISTS")]
    assert await backend.create(NAME, small_config()) == INFO


async def test_a_create_that_finds_another_memory_is_a_conflict(script: Script, backend: RayBackend) -> None:
    script.answers["create"] = [OwnerLost(), Conflict("exists", code="MEMORY_EXISTS")]
    with pytest.raises(Conflict):
        await backend.create(NAME, small_config(units=32))


async def test_a_delete_whose_first_answer_was_lost_succeeds(script: Script, backend: RayBackend) -> None:
    script.answers["delete"] = [OwnerLost(), NotFound("gone", code="MEMORY_NOT_FOUND")]
    await backend.delete(NAME)


def checkpoint(description: str) -> CheckpointInfo:
    return CheckpointInfo(
        memory=NAME,
        tag=Tag("v1"),
        seq=Seq(1),
        weight_hash="h",
        size_bytes=1,
        created_at="now",
        description=description,
        observation_count=1,
        pattern_count=1,
    )


@pytest.mark.parametrize(("found", "is_same"), [("mine", True), ("another", False)])
async def test_a_checkpoint_whose_first_answer_was_lost_succeeds_if_it_is_the_same(
    script: Script, backend: RayBackend, found: str, is_same: bool
) -> None:
    script.answers["checkpoint"] = [OwnerLost(), Conflict("exists", code="CHECKPOINT_EXISTS")]
    script.answers["list_checkpoints"] = [CheckpointPage(checkpoints=(checkpoint(found),), next_cursor=None)]
    if is_same:
        assert (await backend.checkpoint(NAME, Tag("v1"), "mine")).description == "mine"
        return
    with pytest.raises(Conflict):
        await backend.checkpoint(NAME, Tag("v1"), "mine")


async def test_a_fork_whose_first_answer_was_lost_succeeds_if_it_is_the_same(
    script: Script, backend: RayBackend
) -> None:
    child = MemoryName("child")
    made = MemoryInfo(
        name=child, encoder="hash", variant="sparse", units=64, key_dim=384, created_at="now", parent="notes@v1"
    )
    script.answers["find"] = [KnownMemory(uid="u2", info=made)]
    script.answers["fork"] = [OwnerLost(), Conflict("exists", code="MEMORY_EXISTS")]
    script.answers["list_checkpoints"] = [CheckpointPage(checkpoints=(checkpoint(""),), next_cursor=None)]
    assert await backend.fork(NAME, Tag("v1"), child) == ForkResult(
        memory=child, parent=NAME, parent_tag=Tag("v1"), weight_hash="h"
    )
