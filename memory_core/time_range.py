"""A range of the callers' own times: which exemplars occurred in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from memory_core.errors import InvalidInput

_DATE_LENGTH: Final = 10
_END_OF_DAY: Final = timedelta(days=1) - timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Both ends inclusive; None leaves an end open."""

    begin: datetime | None
    end: datetime | None

    @classmethod
    def between(cls, begin: str | None, end: str | None) -> TimeRange:
        """From ISO 8601 times, UTC without an offset; a date means its whole day. InvalidInput for other texts."""
        return cls(
            None if begin is None else _bound(begin, is_end=False), None if end is None else _bound(end, is_end=True)
        )

    @property
    def is_open(self) -> bool:
        """True when everything is in it, also what has no time."""
        return self.begin is None and self.end is None

    def holds(self, occurred_at: str | None) -> bool:
        """True when the time is in the range; what has none, or none that can be read, is in an open one only."""
        if self.is_open:
            return True
        moment = None if occurred_at is None else _parse(occurred_at)
        if moment is None:
            return False
        return (self.begin is None or moment >= self.begin) and (self.end is None or moment <= self.end)


def _bound(text: str, *, is_end: bool) -> datetime:
    moment = _parse(text)
    if moment is None:
        raise InvalidInput(
            "A bound of the time range is not an ISO 8601 time.", hint="Write it like 2026-01-31 or 2026-01-31T12:00Z."
        )
    return moment + _END_OF_DAY if is_end and len(text.strip()) == _DATE_LENGTH else moment


def _parse(text: str) -> datetime | None:
    """A time as UTC (which it is taken for without an offset), None when it is none."""
    try:
        stripped = text.strip()
        if len(stripped) == _DATE_LENGTH:
            day = date.fromisoformat(stripped)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(stripped)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
