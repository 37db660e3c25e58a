"""API keys: ``nm_<id>_<secret>``. The id is visible, the secret is shown once and kept as a hash only.

A secret has 256 random bits, so one SHA-256 is enough: there is nothing to guess that a slow hash would slow down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from deployments.access.principal import SCOPES, Limits, Principal

_KEY = re.compile(r"nm_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_KEY_ID = re.compile(r"[0-9a-f]{12}")
_NOBODY: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key at rest. Times are ISO 8601 with a time zone; ``revoked_at`` may lie ahead, after a rotation."""

    key_id: str
    secret_sha256: str
    tenant: str
    scopes: tuple[str, ...]
    memories: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None = None
    limits: Limits = field(default_factory=Limits)
    is_trusted: bool = True

    def is_valid(self, now: datetime) -> bool:
        """True until it expires or is revoked."""
        ends = [datetime.fromisoformat(end) for end in (self.expires_at, self.revoked_at) if end is not None]
        return all(now < end for end in ends)

    def to_principal(self) -> Principal:
        """Who a request with this key is from."""
        return Principal(
            tenant=self.tenant,
            key_id=self.key_id,
            scopes=frozenset(scope for scope in SCOPES if scope in self.scopes),
            memories=self.memories,
            limits=self.limits,
            is_trusted=self.is_trusted,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> KeyRecord:
        """Rebuild from ``to_dict``; other fields are left out."""
        known = {name: raw[name] for name in cls.__dataclass_fields__ if name in raw}
        lists = {name: tuple(known[name]) for name in ("scopes", "memories")}
        return cls(**{**known, **lists, "limits": Limits(**known["limits"])})


def mint() -> tuple[str, str, str]:
    """A new key, its id and the hash of its secret."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return f"nm_{key_id}_{secret}", key_id, hashed(secret)


def is_key_id(raw: str) -> bool:
    """True for what can be the id of a key."""
    return _KEY_ID.fullmatch(raw) is not None


def split_key(presented: str) -> tuple[str, str] | None:
    """Id and secret of what was presented; None when it is no key."""
    found = _KEY.fullmatch(presented)
    return None if found is None else (found[1], found[2])


def is_secret(record: KeyRecord | None, secret: str) -> bool:
    """True when the secret is the record's. Takes the same time whatever differs, also when there is no record."""
    expected = _NOBODY if record is None else record.secret_sha256
    return hmac.compare_digest(hashed(secret), expected) and record is not None


def hashed(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
