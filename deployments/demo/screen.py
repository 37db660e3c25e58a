"""What the demonstration prints: steps, plain words around them, and claims that are checked."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

STEPS: Final = 6
_EXEMPLAR_LENGTH: Final = 110


class Screen:
    """Prints for a person and remembers which claims did not hold."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.failed_claims: list[str] = []
        self._started_s = time.monotonic()
        self._step = 0

    def step(self, title: str, explanation: str) -> None:
        """Begin the next step and say in plain words what is about to happen."""
        self._step += 1
        elapsed_s = time.monotonic() - self._started_s
        self.console.print()
        self.console.print(
            Rule(f"[bold]{self._step}/{STEPS}  {title}[/bold]  [dim]{elapsed_s:.0f} s[/dim]", align="left")
        )
        self.console.print(Text(explanation, style="dim"))

    def line(self, text: str, style: str = "") -> None:
        """A plain line."""
        self.console.print(Text(f"  {text}", style=style), soft_wrap=True)

    def quote(self, label: str, text: str) -> None:
        """A labelled piece of text, shortened to a line."""
        short = " ".join(text.split())
        short = short if len(short) <= _EXEMPLAR_LENGTH else short[: _EXEMPLAR_LENGTH - 1] + "…"
        self.console.print(Text.assemble((f"  {label:<11}", "cyan"), short), soft_wrap=True)

    def claim(self, holds: bool, text: str) -> None:
        """Print a claim with whether it held just now."""
        mark, style = ("yes", "bold green") if holds else ("NO ", "bold red")
        self.console.print(Text.assemble((f"  {mark} ", style), text), soft_wrap=True)
        if not holds:
            self.failed_claims.append(text)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started_s
