"""When an observe is durable: each with a sync of its own, or in groups that share one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from memory_core.errors import InvalidInput

GROUP_MAX: Final = 256
DELAY_MS_MAX: Final = 1_000.0
_DELAY_MS: Final = 5.0
_DELAY_MS_S3: Final = 50.0
_GROUP: Final = re.compile(r"group(?:\((\d+(?:\.\d+)?)(?:ms)?\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """group_max: requests of one group; 1 means each alone.

    delay_ms: how long a group waits at most for as many as came together last time; a lone caller never waits. None:
    5 on a file system, 50 on S3.
    """

    group_max: int = GROUP_MAX
    delay_ms: float | None = None

    @classmethod
    def parse(cls, text: str) -> Durability:
        """From ``sync``, ``group`` or ``group(20)``, with the delay in milliseconds; InvalidInput."""
        if not isinstance(text, str):
            raise InvalidInput("durability must be a string.", hint="Use sync, group, or group(MS).")
        if text.strip() == "sync":
            return cls(group_max=1, delay_ms=0.0)
        found = _GROUP.fullmatch(text.strip())
        if found is None or float(found[1] or 0) > DELAY_MS_MAX:
            raise InvalidInput(
                f"Unknown durability {ascii(text)}.",
                hint=f"Use sync, group, or group(MS) with at most {DELAY_MS_MAX:g} milliseconds.",
            )
        return cls(delay_ms=None if found[1] is None else float(found[1]))

    def __str__(self) -> str:
        """As ``parse`` takes it."""
        if self.group_max == 1:
            return "sync"
        return "group" if self.delay_ms is None else f"group({self.delay_ms:g})"

    def delay_s(self, storage_url: str) -> float:
        """The delay on a volume in seconds."""
        default_ms = _DELAY_MS_S3 if storage_url.startswith("s3:") else _DELAY_MS
        return (default_ms if self.delay_ms is None else self.delay_ms) / 1e3
