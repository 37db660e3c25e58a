"""What a chaos run kills, and when."""

from __future__ import annotations

from itertools import islice

from deployments.bench.chaos import ChaosPlan


def test_every_kind_is_killed_once_a_round_at_uneven_times_that_the_seed_fixes() -> None:
    plan = ChaosPlan(seconds=60, seed=5, kinds=("host", "ingress", "raylet"), kill_every_s=10)
    course = list(islice(plan.pauses_and_kinds(), 6))
    assert {kind for _, kind in course[:3]} == {kind for _, kind in course[3:]} == set(plan.kinds)
    assert all(6 <= pause_s <= 14 for pause_s, _ in course)
    assert len({pause_s for pause_s, _ in course}) == 6
    assert course == list(islice(plan.pauses_and_kinds(), 6))
