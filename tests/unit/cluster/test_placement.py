"""Where memories live: pure functions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.memory_host import HostReport
from cluster.placement import FanOut, Needs, NodeFacts, Pool, slot_of, unmet
from cluster.placement_report import told
from cluster.volume_actor import KnownMemory
from memory_core.config import MemoryConfig
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import MemoryInfo
from memory_core.testing.small_memory import small_config

MIB = 1 << 20
POOL = Pool(volume_id="v", hosts=4, room_bytes=1024 * MIB)
GPU_NODE = NodeFacts(total={"GPU": 2, "memory": 8e9, "accelerator_type:H200": 1}, free={"GPU": 0.5, "memory": 8e9})
PLAIN_NODE = NodeFacts(total={"CPU": 4, "memory": 4e9}, free={"CPU": 4, "memory": 4e9}, labels={"disk": "ssd"})


def test_memories_spread_evenly_over_the_hosts_and_a_new_host_takes_only_its_share() -> None:
    uids = [f"uid-{number}" for number in range(4000)]
    before = {uid: slot_of(uid, 4) for uid in uids}
    assert all(850 < count < 1150 for count in Counter(before.values()).values())
    moved = [uid for uid in uids if slot_of(uid, 5) != before[uid]]
    assert {slot_of(uid, 5) for uid in moved} == {4}
    assert 650 < len(moved) < 950


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (PlacementSpec(isolation="dedicated"), "as its settings ask"),
        (PlacementSpec(device="gpu:0.25"), "needs 0.25 of a GPU"),
        (PlacementSpec(labels=("disk=ssd",)), "disk=ssd"),
        (PlacementSpec(ram_mib=2048), "larger than a host's room"),
    ],
)
def test_what_only_its_own_process_can_have_gives_a_memory_one_and_a_reason(spec: PlacementSpec, reason: str) -> None:
    place = POOL.place("u", spec)
    assert (place.is_shared, place.actor_name, reason in " ".join(place.reasons)) == (False, "memory:v:u", True)


def test_all_others_share_a_host_that_every_ingress_computes_alike() -> None:
    place = POOL.place("u", PlacementSpec(is_pinned=True))
    assert place == POOL.place("u", PlacementSpec())
    assert (place.is_shared, place.actor_name) == (True, f"host:v:{slot_of('u', 4)}")


@pytest.mark.parametrize(
    ("needs", "waits_for"),
    [
        (Needs(), None),
        (Needs(gpus=0.5), None),
        (Needs(gpus=1), "waits for 1 GPU"),
        (Needs(gpus=4), "needs 4 GPUs"),
        (Needs(gpus=0.5, accelerator="A100"), "needs 0.5 of a GPU of type A100"),
        (Needs(labels=("disk=ssd",)), None),
        (Needs(gpus=0.5, labels=("disk=ssd",)), "needs 0.5 of a GPU and a node with disk=ssd"),
        (Needs(ram_bytes=int(9e9)), "needs 8583 MiB of memory"),
    ],
)
def test_what_a_process_waits_for_is_said(needs: Needs, waits_for: str | None) -> None:
    assert unmet(needs, [GPU_NODE, PLAIN_NODE]) == waits_for


@pytest.mark.parametrize(
    "raw",
    [
        {"isolation": "alone"},
        {"device": "gpu:0"},
        {"device": "gpu:1.5"},
        {"device": 3},
        {"labels": ["no pair"]},
        {"labels": ["a=b"] * 17},
        {"strategy": "near"},
        {"ram_mib": -1},
        {"ram_mib": True},
        {"accelerator": "H200"},
        {"is_pinned": 1},
        {"colour": "red"},
    ],
)
def test_a_spec_without_sense_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        PlacementSpec.from_dict(raw)


@given(
    device=st.sampled_from(["cpu", "gpu", "gpu:0.25", "gpu:2"]),
    labels=st.lists(st.sampled_from(["a=b", "disk=ssd"]), max_size=3),
    is_pinned=st.booleans(),
)
def test_a_spec_survives_its_memorys_settings(device: str, labels: list[str], is_pinned: bool) -> None:
    spec = PlacementSpec(device=device, labels=tuple(labels), is_pinned=is_pinned)
    config = small_config(placement=spec)
    assert MemoryConfig.from_dict(config.to_dict()).placement == spec


NAME = MemoryName("notes")
INFO = MemoryInfo(name=NAME, encoder="hash", variant="sparse", units=64, key_dim=384, created_at="now")


@pytest.mark.parametrize(
    ("residents", "waits_for", "status"),
    [
        ((NAME, "other"), None, "resident"),
        (("other",), None, "passive"),
        (None, None, "passive"),
        (None, "needs 1 GPU", "pending: needs 1 GPU"),
    ],
)
def test_an_operator_is_told_the_status(
    residents: tuple[MemoryName, ...] | None, waits_for: str | None, status: str
) -> None:
    known = KnownMemory(uid="u", info=INFO)
    host = None
    if residents is not None:
        host = HostReport(
            pid=7,
            node="n",
            residents=residents,
            epochs=tuple(range(1, len(residents) + 1)),
            state_bytes=MIB,
            rss_bytes=MIB,
            activations=1,
            passivations=0,
        )
    assert told(known, POOL.place("u", INFO.placement), host, waits_for).status == status


def gpus(count: float) -> NodeFacts:
    return NodeFacts(total={"GPU": count}, free={"GPU": count})


@pytest.mark.parametrize(
    ("needs", "count", "waits_for"),
    [
        (Needs(gpus=1), 4, None),
        (Needs(gpus=1), 5, "needs 5 times 1 GPU, of which 4 fit now"),
        (Needs(gpus=0.25), 16, None),
        (Needs(gpus=2), 3, "needs 3 times 2 GPUs, of which 2 fit now"),
        (Needs(gpus=3), 1, "needs 1 times 3 GPUs, of which 0 fit now"),
        (Needs(strategy="spread"), 64, None),
        (Needs(gpus=1, labels=("zone=a",)), 1, "needs 1 times 1 GPU and a node with zone=a, of which 0 fit now"),
    ],
)
def test_forks_that_start_together_fit_at_once_or_say_what_they_need(
    needs: Needs, count: int, waits_for: str | None
) -> None:
    assert FanOut(needs=needs, count=count).unmet([gpus(2), gpus(2)]) == waits_for


def test_a_fan_out_becomes_bundles_as_ray_takes_them() -> None:
    typed = FanOut(needs=Needs(gpus=0.5, ram_bytes=64 * MIB, accelerator="H200", strategy="spread"), count=3)
    assert typed.bundle == {"GPU": 0.5, "memory": 64.0 * MIB, "accelerator_type:H200": 0.001}
    assert typed.ray_strategy == "SPREAD"
    assert FanOut(needs=Needs(), count=3).bundle == {}


def test_forks_of_many_gpus_on_one_node_are_counted_by_what_runs_out_first() -> None:
    node = NodeFacts(total={}, free={"GPU": 8, "memory": 3.0 * MIB})
    assert FanOut(needs=Needs(gpus=1, ram_bytes=MIB), count=4).unmet([node]) == (
        "needs 4 times 1 GPU and 1 MiB of memory, of which 3 fit now"
    )
