"""What of a memory may change during its life. Its config, which decides what its numbers mean, may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from memory_core.errors import InvalidInput, PreconditionFailed

MemoryKind = Literal["session", "project", "expert"]
KINDS: Final[tuple[MemoryKind, ...]] = get_args(MemoryKind)
TTL_MAX_S: Final = 10 * 365 * 86_400.0
DESCRIPTION_LENGTH_MAX: Final = 1024

Versions = tuple[str, ...]
"""Weight hashes: a call that names some is carried out only while the memory has one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTerms:
    """kind: what the memory was made as. is_read_only: it answers and does not learn.

    ttl_s: how long it lives from when that was said, ``expires_at`` (ISO 8601) until when; None for ever.
    """

    kind: MemoryKind = "project"
    description: str = ""
    is_read_only: bool = False
    ttl_s: float | None = None
    expires_at: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"Unknown class {ascii(self.kind)}.", hint=f"Use one of {', '.join(KINDS)}.")
        if self.ttl_s is not None and not 0 < self.ttl_s <= TTL_MAX_S:
            raise InvalidInput(
                f"ttl_s must be above 0 and at most {TTL_MAX_S:.0f}.", hint="Leave it out for a memory that stays."
            )
        if len(self.description) > DESCRIPTION_LENGTH_MAX:
            raise InvalidInput(
                f"The description has {len(self.description)} characters; {DESCRIPTION_LENGTH_MAX} are allowed.",
                hint="Shorten it.",
            )

    def starting(self, now: datetime) -> MemoryTerms:
        """These terms with their end counted from now."""
        ends = None if self.ttl_s is None else (now + timedelta(seconds=self.ttl_s)).isoformat()
        return replace(self, expires_at=ends)

    def changed(self, change: TermsChange, now: datetime) -> MemoryTerms:
        """After a change; a time to live counts from now."""
        after = replace(
            self,
            description=self.description if change.description is None else change.description,
            is_read_only=self.is_read_only if change.is_read_only is None else change.is_read_only,
        )
        return after if change.ttl_s is None else replace(after, ttl_s=change.ttl_s or None).starting(now)

    def is_over(self, now: datetime) -> bool:
        """True once the memory has lived as long as it should."""
        return self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MemoryTerms:
        """Rebuild from ``to_dict``; other fields are left out."""
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsChange:
    """What shall change; None leaves it as it is. ``ttl_s`` 0 means for ever."""

    description: str | None = None
    is_read_only: bool | None = None
    ttl_s: float | None = None


def require_version(memory: str, weight_hash: str, only_if: Versions | None) -> None:
    """Raise PreconditionFailed unless the memory has one of the versions, or none is named."""
    if only_if is not None and weight_hash not in only_if:
        raise PreconditionFailed(
            f"The memory {memory} changed since its version was read.", hint="Read it again, and decide again."
        )
