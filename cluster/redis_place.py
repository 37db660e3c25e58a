"""Where a Redis is that keeps Ray's tables. Apart from what uses it: settings must not load Ray."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    """``address`` as Ray takes it, ``host:port``; ``user`` and ``password`` may be empty."""

    address: str
    user: str
    password: str
