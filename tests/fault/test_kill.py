"""A process is killed at every boundary of effects and storage calls; what it acknowledged is there, once."""

import multiprocessing
import shutil
import uuid
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from memory_core.storage.open_store import open_store
from memory_core.storage.ram_store import RamStore
from memory_core.testing.crash_scenario import (
    NAME,
    SCENARIO,
    Mark,
    check_recovery,
    model_marks,
    run_and_die,
)
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume

NEVER = 1_000_000


@pytest.fixture(scope="module")
def marks() -> list[Mark]:
    return model_marks(RamStore(uuid.uuid4().hex))


@pytest.fixture(scope="module")
def processes() -> Iterator[ForkServerContext]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["memory_core.testing.crash_scenario"])
    yield context


def live(
    processes: ForkServerContext, url: str, options: dict[str, Any], last: int, log: Path
) -> tuple[int, list[str]]:
    """Run the scenario in a process of its own; its exit code and the lines it logged."""
    Volume(open_store(url, **options)).create(NAME, tiny_config())
    process = processes.Process(target=run_and_die, args=(url, options, last, str(log)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def die_everywhere(processes: ForkServerContext, marks: list[Mark], tmp_path: Path, instants: range) -> dict[int, str]:
    wrong: dict[int, str] = {}
    for last in instants:
        folder = tmp_path / str(last)
        exit_code, lines = live(processes, folder.as_uri(), {}, last, tmp_path / f"{last}.log")
        assert exit_code == -SIGKILL
        problem = check_recovery(open_store(folder.as_uri()), marks, len(lines))
        if problem:
            wrong[last] = f"after {lines[-1:]}: {problem}"
        shutil.rmtree(folder)
    return wrong


def count_instants(processes: ForkServerContext, tmp_path: Path) -> int:
    exit_code, lines = live(processes, (tmp_path / "whole").as_uri(), {}, NEVER, tmp_path / "whole.log")
    assert exit_code == 0
    assert len(lines) == len(SCENARIO) + 1
    return int(lines[-1].split()[1])


def test_death_at_some_instants_loses_and_doubles_nothing(
    processes: ForkServerContext, marks: list[Mark], tmp_path: Path
) -> None:
    total = count_instants(processes, tmp_path)
    assert die_everywhere(processes, marks, tmp_path, range(5, total, total // 10)) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_death_at_every_instant_loses_and_doubles_nothing(
    processes: ForkServerContext, marks: list[Mark], tmp_path: Path
) -> None:
    total = count_instants(processes, tmp_path)
    assert die_everywhere(processes, marks, tmp_path, range(1, total + 1)) == {}
