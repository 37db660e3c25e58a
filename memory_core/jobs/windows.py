"""How rows become requests: by their place in the source alone, so that every run of a job makes the same ones.

A window is so many rows in their order; inside one, the rows of a memory are cut into parts, one request each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memory_core.jobs.plan import JobPlan, Position
from memory_core.jobs.rows import Row
from memory_core.results import EncodedText, Observation


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row with its file's number, its number in it, and its keys; ``encoded`` None for one with a problem."""

    file: int
    number: int
    row: Row
    encoded: EncodedText | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one window for one memory, in order. ``key`` names it within its window."""

    key: str
    memory: str
    rows: tuple[PlacedRow, ...]

    def observations(self, domain: str | None) -> list[Observation]:
        """What the rows say."""
        return [
            Observation(text=one.row.text, domain=domain, session=one.row.session, occurred_at=one.row.occurred_at)
            for one in self.rows
        ]


@dataclass(frozen=True, slots=True)
class Window:
    """``parts`` by memory: those of one memory are taught one after the other. ``bad``: rows that cannot be taught."""

    number: int
    rows: tuple[PlacedRow, ...]
    parts: tuple[tuple[Part, ...], ...]
    bad: tuple[PlacedRow, ...]

    @property
    def next_position(self) -> Position:
        """Where the next window begins."""
        last = self.rows[-1]
        return Position(file=last.file, row=last.number + 1)


def windows(plan: JobPlan, rows: Iterator[Sequence[PlacedRow]], first: int) -> Iterator[Window]:
    """Windows from number ``first`` on; ``rows`` come in pieces of exactly a window, the last one shorter."""
    for number, piece in enumerate(rows, start=first):
        if piece:
            yield make_window(plan, number, piece)


def make_window(plan: JobPlan, number: int, rows: Sequence[PlacedRow]) -> Window:
    """The parts of a window."""
    by_memory: dict[str, list[PlacedRow]] = {}
    for one in rows:
        if one.row.problem is None:
            by_memory.setdefault(one.row.memory or plan.memory or "", []).append(one)
    size = plan.request_items
    parts = tuple(
        tuple(
            Part(f"{memory}/{start // size}", memory, tuple(mine[start : start + size]))
            for start in range(0, len(mine), size)
        )
        for memory, mine in by_memory.items()
    )
    return Window(number, tuple(rows), parts, tuple(one for one in rows if one.row.problem is not None))
