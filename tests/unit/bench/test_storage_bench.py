"""The benchmarks of storage and of crashes measure what they say."""

import pytest

from deployments.bench.crash import run_crash, spread
from deployments.bench.progress import Silent
from deployments.bench.storage import run_storage

NAMES = (
    "group_commit_obs_per_s fsync_each_obs_per_s fork_ms fork_tensor_bytes "
    "checkpoint_ms_1k restore_ms_1k checkpoint_bytes_1k list_1000_ms"
)


def test_storage_reports_every_figure_and_forks_copy_no_tensor() -> None:
    figures = run_storage(1_000, Silent(), observations=32, memories=20).figures
    assert set(NAMES.split()) <= figures.keys()
    assert figures["fork_tensor_bytes"] == 0.0
    assert figures["forked_bytes"] > 24_000_000
    assert figures["patterns_1k"] == 1_000
    assert all(value > 0 for name, value in figures.items() if name != "fork_tensor_bytes")


def test_crash_reports_the_kill_table() -> None:
    report = run_crash(2, is_s3=False, progress=Silent())
    assert report.figures == {"kills": 2.0, "lost": 0.0, "doubled": 0.0, "corrupt": 0.0}
    assert report.conditions["wrong"] == []


@pytest.mark.parametrize(("runs", "instants"), [(2, [1, 3]), (5, [1, 2, 3, 4, 1]), (8, [1, 2, 3, 4, 1, 2, 3, 4])])
def test_kills_are_spread_over_all_instants(runs: int, instants: list[int]) -> None:
    assert spread(runs, 4) == instants
