"""Real deaths of a memory's owner: a process is killed at each instant of its day, and what is left is checked."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployments.bench.progress import Progress
from deployments.bench.report import Report, conditions
from memory_core.errors import InvalidInput
from memory_core.testing.crash_scenario import SCENARIO
from memory_core.testing.kill_table import KillTable, StepKillTable
from memory_core.testing.s3_server import running_s3


def run_crash(runs: int, *, is_s3: bool, progress: Progress) -> Report:
    """Kill ``runs`` times, evenly spread over all instants; with more runs than instants, several times over."""
    with tempfile.TemporaryDirectory(prefix="neural-memory-crash-") as folder, _storage(is_s3) as options:
        table = StepKillTable(Path(folder), options) if is_s3 else KillTable(Path(folder))
        total = table.count_instants()
        wrong: list[dict[str, Any]] = []
        for instant in spread(runs, total):
            found = table.die_at(instant)
            progress.advance(1)
            if found is not None:
                wrong.append({"instant": instant, "kind": found.kind, "what": found.text})
    kinds = [entry["kind"] for entry in wrong]
    figures = {"kills": float(runs), **{kind: float(kinds.count(kind)) for kind in ("lost", "doubled", "corrupt")}}
    told = conditions(
        storage="s3 (moto, over HTTP)" if is_s3 else "file",
        instants=total,
        steps=[step.label for step in SCENARIO],
        wrong=wrong,
        n=runs,
    )
    return Report(bench="crash", figures=figures, conditions=told)


def spread(runs: int, total: int) -> list[int]:
    """``runs`` instants out of 1..total: all of them as often as they go in, the rest evenly spread."""
    rest = runs % total
    return [*range(1, total + 1)] * (runs // total) + [1 + number * total // rest for number in range(rest)]


@contextlib.contextmanager
def _storage(is_s3: bool) -> Iterator[dict[str, Any]]:
    """Options of the volume's file system; an S3 server lives as long as the context."""
    if not is_s3:
        yield {}
        return
    try:
        with running_s3() as options:
            yield options
    except ImportError as error:
        raise InvalidInput(
            f"The S3 server of the tests is not installed ({error.name}).",
            hint="Install the extras s3 and dev, or leave --s3 out.",
        ) from error
