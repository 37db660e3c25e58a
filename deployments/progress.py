"""The progress bar of everything that observes."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _RateColumn(ProgressColumn):
    """Observations per second so far."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(f"{task.finished_speed or task.speed or 0.0:.0f} obs/s")


def progress_bar(console: Console) -> Progress:
    """A bar that counts observations, for whatever takes more than a second."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=not console.is_terminal,
    )
