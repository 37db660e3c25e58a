"""A process is killed at every boundary of effects and storage calls; what it acknowledged is there, once."""

import multiprocessing
import uuid
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from memory_core.storage.open_store import open_store
from memory_core.storage.ram_store import RamStore
from memory_core.testing.crash_scenario import NAME, SCENARIO, Mark, check_recovery, model_marks, run_and_die
from memory_core.testing.s3_server import fresh_bucket_url, running_s3
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume

NEVER = 1_000_000


@dataclass
class Deaths:
    """Runs the scenario in processes of their own, each on a fresh folder, or bucket when there are options."""

    folder: Path
    marks: list[Mark]
    processes: ForkServerContext
    options: dict[str, Any] = field(default_factory=dict)

    def count_instants(self) -> int:
        """How many instants the scenario has when nobody dies."""
        exit_code, lines = self.live(self.fresh_url(NEVER), NEVER)
        assert exit_code == 0
        assert len(lines) == len(SCENARIO) + 1
        return int(lines[-1].split()[1])

    def die_at(self, instants: range) -> dict[int, str]:
        """What was wrong after a death at each of the instants."""
        wrong: dict[int, str] = {}
        for last in instants:
            url = self.fresh_url(last)
            exit_code, lines = self.live(url, last)
            assert exit_code == -SIGKILL
            problem = check_recovery(open_store(url, **self.options), self.marks, len(lines))
            if problem:
                wrong[last] = f"after {lines[-1:]}: {problem}"
        return wrong

    def live(self, url: str, last: int) -> tuple[int, list[str]]:
        """Exit code, and the lines that the process logged."""
        log = self.folder / f"{last}.log"
        Volume(open_store(url, **self.options)).create(NAME, tiny_config())
        process = self.processes.Process(target=run_and_die, args=(url, self.options, last, str(log)))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode, log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def fresh_url(self, number: int) -> str:
        """A volume that nobody used."""
        return fresh_bucket_url(self.options) if self.options else (self.folder / str(number)).as_uri()


@pytest.fixture
def deaths(tmp_path: Path) -> Deaths:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["memory_core.testing.crash_scenario"])
    return Deaths(tmp_path, model_marks(RamStore(uuid.uuid4().hex)), context)


def test_death_at_some_instants_loses_and_doubles_nothing(deaths: Deaths) -> None:
    total = deaths.count_instants()
    assert deaths.die_at(range(5, total, total // 10)) == {}


@pytest.mark.s3
def test_death_at_some_instants_loses_and_doubles_nothing_on_s3(deaths: Deaths) -> None:
    with running_s3() as deaths.options:
        total = deaths.count_instants()
        assert deaths.die_at(range(30, total, total // 4)) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_death_at_every_instant_loses_and_doubles_nothing(deaths: Deaths) -> None:
    total = deaths.count_instants()
    assert deaths.die_at(range(1, total + 1)) == {}
