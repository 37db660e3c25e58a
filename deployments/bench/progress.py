"""The one thing a benchmark needs of a progress bar."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Counts work done."""

    def advance(self, amount: int) -> None:
        """That much more is done."""
        ...


class Silent:
    """A Progress that shows nothing."""

    def advance(self, amount: int) -> None:
        """See Progress."""
