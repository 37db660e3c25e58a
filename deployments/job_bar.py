"""The live bar of a job: rows, rate, mean surprise, time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from memory_core.jobs.keeper import OnInfo
from memory_core.jobs.progress import JobInfo

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@contextmanager
def job_bar(console: Console) -> Iterator[OnInfo]:
    """What is told of a job shows up on the console."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0, said="")
        yield lambda info: bar.update(task, completed=info.fraction, description=info.status, said=said(info))


def said(info: JobInfo) -> str:
    """``1,024 items  210 obs/s  surprise 0.71  ETA 2 min``."""
    parts = [f"{info.items:,} items", f"{info.obs_per_s:.0f} obs/s", f"surprise {info.surprise_mean:.2f}"]
    if info.skipped:
        parts.append(f"{info.skipped:,} known")
    if info.rejected:
        parts.append(f"{info.rejected:,} rejected")
    if info.eta_s is not None:
        parts.append(f"ETA {_span(info.eta_s)}")
    return "  ".join(parts)


def _span(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"
