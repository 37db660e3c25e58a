"""A process is killed at every boundary of effects and storage calls; what it acknowledged is there, once."""

from pathlib import Path

import pytest

from memory_core.testing.crash_scenario import SCENARIO
from memory_core.testing.kill_table import KillTable, StepKillTable
from memory_core.testing.s3_server import running_s3


def test_death_at_some_instants_loses_and_doubles_nothing(tmp_path: Path) -> None:
    table = KillTable(tmp_path)
    total = table.count_instants()
    assert table.die_at_each(range(5, total, total // 10)) == {}


@pytest.mark.s3
def test_death_at_some_instants_loses_and_doubles_nothing_on_s3(tmp_path: Path) -> None:
    labels = [step.label for step in SCENARIO]
    with running_s3() as options:
        table = StepKillTable(tmp_path, options, [labels.index("observe b"), labels.index("checkpoint v1")])
        total = table.count_instants()
        assert table.die_at_each(range(2, total, total // 4)) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_death_at_every_instant_loses_and_doubles_nothing(tmp_path: Path) -> None:
    table = KillTable(tmp_path)
    assert table.die_at_each(range(1, table.count_instants() + 1)) == {}


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.timeout(3600)
def test_death_at_every_instant_loses_and_doubles_nothing_on_s3(tmp_path: Path) -> None:
    with running_s3() as options:
        table = StepKillTable(tmp_path, options)
        assert table.die_at_each(range(1, table.count_instants() + 1)) == {}
