"""Which tools MCP clients see, by the environment alone: reading all settings takes a third of a second."""

from __future__ import annotations

import os
from typing import Final

from deployments.mcp.tier import TIERS, Tier

_VARIABLE: Final = "MCP_TOOLS"


def told_tier() -> Tier | None:
    """What ``Settings().mcp_tools`` would be; None when that is refused or said twice: then reading them says why."""
    told = [value for name, value in os.environ.items() if name.upper() == _VARIABLE]
    if not told:
        return TIERS[0]
    return next((tier for tier in TIERS if told == [tier]), None)
