"""Gives up every memory of the connected cluster, folded, before its processes end."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from cluster import ray_api
from cluster.ray_api import Owner, OwnerLost
from memory_core.errors import NeuralMemoryError

_HOLDERS: Final = ("host:", "memory:")
_log = logging.getLogger(__name__)


def drain_owners(timeout_s: float) -> int:
    """How many memories were given up within ``timeout_s``; one that was not is recovered from its journal."""
    return asyncio.run(_drain(ray_api.owners_named(_HOLDERS), timeout_s))


async def _drain(owners: list[Owner], timeout_s: float) -> int:
    return sum(await asyncio.gather(*(_drain_one(owner, timeout_s) for owner in owners)))


async def _drain_one(owner: Owner, timeout_s: float) -> int:
    try:
        return int(await ray_api.call(owner, "drain", timeout_s=timeout_s))
    except (OwnerLost, NeuralMemoryError):
        _log.warning("A process that holds memories was not drained; the next start replays its journals.")
        return 0
