"""All processes that hold memories on the connected cluster: what they say, and giving every memory up, folded."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from cluster import ray_api
from cluster.memory_host import HostReport
from cluster.ray_api import Owner, OwnerLost
from memory_core.errors import NeuralMemoryError

_HOLDERS: Final = ("host:", "memory:", "standby:")
_log = logging.getLogger(__name__)


def drain_owners(timeout_s: float) -> int:
    """How many memories were given up within ``timeout_s``; one that was not is recovered from its journal."""
    return asyncio.run(drained(timeout_s))


async def drained(timeout_s: float) -> int:
    """See ``drain_owners``."""
    owners = await asyncio.to_thread(ray_api.owners_named, _HOLDERS)
    return sum(await asyncio.gather(*(_drain_one(owner, timeout_s) for owner in owners)))


async def host_reports(timeout_s: float) -> list[HostReport]:
    """What every process that holds memories says of itself."""
    owners = await asyncio.to_thread(ray_api.owners_named, _HOLDERS)
    return list(await asyncio.gather(*(ray_api.call(owner, "report", timeout_s=timeout_s) for owner in owners)))


async def _drain_one(owner: Owner, timeout_s: float) -> int:
    try:
        return int(await ray_api.call(owner, "drain", timeout_s=timeout_s))
    except (OwnerLost, NeuralMemoryError):
        _log.warning("A process that holds memories was not drained; the next start replays its journals.")
        return 0
