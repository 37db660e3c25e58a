"""Plans by simulation."""

from dataclasses import replace

from cluster.scale import ScalePlan, simulated

PLAN = ScalePlan(memories=2_000, nodes=4, hosts_per_node=2, host_room_mib=4096, calls_per_s=100, seconds=40)


def test_the_same_plan_gives_the_same_figures() -> None:
    assert simulated(PLAN, clock_s=lambda: 0.0) == simulated(PLAN, clock_s=lambda: 0.0)


def test_more_room_means_more_residents_and_fewer_activations() -> None:
    small, large = simulated(replace(PLAN, host_room_mib=1024)), simulated(replace(PLAN, host_room_mib=65_536))
    assert small["resident"] <= 8 * 1024 / PLAN.memory_mib
    assert large["resident"] > small["resident"]
    assert large["activations_per_s"] < small["activations_per_s"]
    assert (large["written_mb_per_s"], small["written_mb_per_s"] > 0) == (0.0, True)


def test_a_load_that_hosts_cannot_open_for_shows_as_waiting() -> None:
    calm, crowded = simulated(replace(PLAN, calls_per_s=5)), simulated(replace(PLAN, calls_per_s=2000))
    assert calm["activation_wait_ms_p99"] < crowded["activation_wait_ms_p99"]
    assert crowded["busiest_host_load"] > 1 > calm["busiest_host_load"]
