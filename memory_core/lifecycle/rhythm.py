"""When a version is published without anybody asking: after so many changes, journal bytes, or seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from memory_core.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaved:
    """What no version holds: observations and other changes, and their bytes in the journal.

    since_s: the time, in seconds since 1970, at which that was first noticed; None until a clock was looked at.
    """

    count: int = 0
    size_bytes: int = 0
    since_s: float | None = None

    def grown(self, count: int, size_bytes: int = 0) -> Unsaved:
        """With more changes."""
        return replace(self, count=self.count + count, size_bytes=self.size_bytes + size_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Unsaved:
        """Rebuild from ``to_dict``."""
        return cls(**raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRhythm:
    """A version is due when any rule says so; None switches a rule off, and without a rule none is ever due.

    every_observations, every_bytes: of what no version holds. every_s: that the oldest of it has waited.
    """

    every_observations: int | None = None
    every_bytes: int | None = None
    every_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("every_observations", "every_bytes", "every_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidInput(f"{name} must be greater than 0.", hint="Leave it out to switch the rule off.")

    def is_due(self, unsaved: Unsaved, tried: Unsaved) -> bool:
        """True when so much changed since the last version, or since one was last tried."""
        count, size_bytes = unsaved.count - tried.count, unsaved.size_bytes - tried.size_bytes
        return _is_reached(self.every_observations, count) or _is_reached(self.every_bytes, size_bytes)

    def is_overdue(self, unsaved: Unsaved, now_s: float) -> bool:
        """True when something has waited for too long."""
        return unsaved.since_s is not None and _is_reached(self.every_s, now_s - unsaved.since_s)


def _is_reached(limit: float | None, value: float) -> bool:
    return limit is not None and value >= limit
