"""What a chaos run kills and when, and whose a wait is."""

from __future__ import annotations

from itertools import islice

from deployments.bench.chaos import ChaosPlan, Model


def test_every_kind_is_killed_once_a_round_at_uneven_times_that_the_seed_fixes() -> None:
    plan = ChaosPlan(seconds=60, seed=5, kinds=("host", "ingress", "raylet"), kill_every_s=10)
    course = list(islice(plan.pauses_and_kinds(), 6))
    assert {kind for _, kind in course[:3]} == {kind for _, kind in course[3:]} == set(plan.kinds)
    assert all(6 <= pause_s <= 14 for pause_s, _ in course)
    assert len({pause_s for pause_s, _ in course}) == 6
    assert course == list(islice(plan.pauses_and_kinds(), 6))


def test_a_wait_counts_for_the_kill_before_it_and_for_those_during_it() -> None:
    model = Model(positions={}, kills=[(10.0, "host"), (30.0, "raylet"), (50.0, "ingress")])
    model.waits_s = [(1.0, 2.0), (11.0, 4.0), (29.0, 9.0), (45.0, 1.0), (51.0, 3.0)]
    assert model.waited_s() == {"host": 9.0, "raylet": 9.0, "ingress": 3.0}
