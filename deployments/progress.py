"""The progress bars: of everything that observes, and of work that says its share and phase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from memory_core.progress import OnProgress


class _RateColumn(ProgressColumn):
    """Things per second so far."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(f"{task.finished_speed or task.speed or 0.0:.0f} {self._unit}")


def progress_bar(console: Console, unit: str = "obs/s") -> Progress:
    """A bar that counts observations or another ``unit``, for whatever takes more than a second."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(),
        console=console,
        transient=not console.is_terminal,
    )


@contextmanager
def share_bar(console: Console) -> Iterator[OnProgress]:
    """A bar that is told the share done and the phase."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as bar:
        task = bar.add_task("waiting", total=1.0)
        yield lambda fraction, phase: bar.update(task, completed=fraction, description=phase)
