"""What a plan needs, and how many calls a closed network of queues answers."""

from __future__ import annotations

import math

import pytest

from cluster.queueing import Network, calls_per_s
from cluster.sizing import Costs, Load, NodeKind, pairs_per_s, size, store_rates
from memory_core.errors import InvalidInput


def test_ram_decides_where_many_memories_do_little() -> None:
    found = size(Load(memories=100_000, active_share=0.02, questions_per_s=10))
    assert (found.driver, found.active_memories) == ("RAM", 2000)
    assert found.nodes == found.nodes_for_ram > found.nodes_for_cores


def test_cores_decide_where_few_memories_do_much() -> None:
    found = size(Load(memories=100, active_share=1, obs_per_s=50_000))
    assert found.driver == "cores"
    assert found.cores_learning == pytest.approx(50 * Costs().observe_ms)


def test_twice_the_memories_need_twice_the_ram_and_storage() -> None:
    one, two = (size(Load(memories=count)) for count in (50_000, 100_000))
    assert (two.ram_gib / one.ram_gib, two.stored_gib / one.stored_gib) == pytest.approx((2, 2))


def test_larger_keys_cost_more_of_everything() -> None:
    small, large = (size(Load(memories=10_000, obs_per_s=1000, dim=dim)) for dim in (384, 1024))
    assert large.cores_learning / small.cores_learning == pytest.approx(6185 / 3538)
    assert large.ram_gib > small.ram_gib


def test_memories_on_gpus_are_counted_in_gpus() -> None:
    found = size(Load(memories=100_000, active_share=0.1), NodeKind(cores=96, ram_gib=2048, gpus=8, gpu_gib=140))
    assert found.gpus == math.ceil(found.ram_gib / 126)
    assert found.nodes >= math.ceil(found.gpus / 8)


def test_a_group_is_one_put_however_many_requests_share_it() -> None:
    few = store_rates(Load(memories=10, active_share=1, obs_per_s=64_000, checkpoints_per_day=0), 10, Costs())
    many = store_rates(Load(memories=10_000, active_share=1, obs_per_s=64_000, checkpoints_per_day=0), 10_000, Costs())
    assert few == (200, 200)
    assert many == (1000, 1000)


def test_the_rate_of_learning_goes_through_what_was_measured() -> None:
    assert [round(pairs_per_s(dim)) for dim in (384, 1024, 4096)] == [6185, 3538, 1068]
    assert pairs_per_s(768) > pairs_per_s(1024) > pairs_per_s(2048) > pairs_per_s(4096)


@pytest.mark.parametrize("bad", [{"memories": 0}, {"active_share": 2}, {"obs_per_s": -1}, {"encoder": "other"}])
def test_a_plan_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Load(**{"memories": 1, **bad})  # type: ignore[arg-type]


def test_one_caller_gets_the_inverse_of_a_calls_time() -> None:
    network = Network(callers=1, hosts=1, cores=8, front_ms=2, host_ms=3, delay_ms=5)
    assert calls_per_s(network) == pytest.approx(100, rel=0.05)


def test_many_callers_get_what_the_slowest_station_gives() -> None:
    network = Network(callers=64, hosts=4, cores=8, front_ms=2, host_ms=4, delay_ms=1)
    assert calls_per_s(network) == pytest.approx(500, rel=0.05)


def test_many_callers_get_no_more_than_the_processors_give() -> None:
    network = Network(callers=64, hosts=4, cores=1, front_ms=2, host_ms=4, delay_ms=1)
    assert calls_per_s(network) == pytest.approx(1000 / 6, rel=0.05)


def test_a_second_host_helps_as_far_as_the_front_allows() -> None:
    rates = [
        calls_per_s(Network(callers=32, hosts=hosts, cores=8, front_ms=2, host_ms=6, delay_ms=1)) for hosts in (1, 2, 8)
    ]
    assert rates == pytest.approx([1000 / 6, 2000 / 6, 500], rel=0.12)
