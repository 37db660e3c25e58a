"""The sets of tools that a server can have."""

from __future__ import annotations

from typing import Final, Literal

Tier = Literal["core", "full"]
TIERS: Final[tuple[Tier, ...]] = ("core", "full")
"""The first one is served unless somebody chooses."""
