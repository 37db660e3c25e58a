"""The application is deployed anew, and its memories are given up in between, under clients that learn all the time.

Prints what happened as JSON: nothing that was acknowledged may be missing, and no client may see an untyped error.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from cluster.holders import drained
from cluster.simulated_nodes import simulated_nodes
from deployments.bench.victims import ServiceProcesses
from deployments.http_client import RemoteBackend
from deployments.ports import free_port
from deployments.serve_process import deploy
from deployments.settings import Settings
from memory_core.errors import NeuralMemoryError
from memory_core.ids import MemoryName, RequestId
from memory_core.results import Observation, ObserveOptions

NAMES = [MemoryName(f"m{number}") for number in range(4)]
SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
BETWEEN_S = 4.0
WAIT_S = 120.0


class Load:
    """One client for each memory. ``positions``: of what was acknowledged."""

    def __init__(self, base_url: str) -> None:
        self.positions: dict[MemoryName, list[int]] = {name: [] for name in NAMES}
        self.errors: Counter[str] = Counter()
        self.waits_s: list[float] = []
        self.is_over = False
        self._base_url = base_url

    async def client(self, name: MemoryName) -> None:
        """Learns one text after the other; each is sent again with its own id until it is acknowledged."""
        service = RemoteBackend(self._base_url)
        sent = 0
        while not self.is_over:
            sent += 1
            began_s = time.monotonic()
            options = ObserveOptions(request_id=RequestId(f"{name}-{sent}"))
            while not await self._is_learned(service, name, f"Item {sent} of {name}.", options):
                if time.monotonic() - began_s > WAIT_S:
                    raise TimeoutError(name)
            self.waits_s.append(time.monotonic() - began_s)
        await service.close()

    async def _is_learned(self, service: RemoteBackend, name: MemoryName, text: str, options: ObserveOptions) -> bool:
        try:
            result = await service.observe(name, [Observation(text=text)], options)
        except NeuralMemoryError as error:
            self.errors[error.code] += 1
            await asyncio.sleep(0.1)
            return False
        self.positions[name].append(result.outcomes[0].seq)
        return True


async def run(settings: Settings, processes: ServiceProcesses) -> dict[str, Any]:
    service = RemoteBackend(settings.base_url)
    for name in NAMES:
        await service.create_chosen(name, dict(SMALL))
    load = Load(settings.base_url)
    clients = [asyncio.create_task(load.client(name)) for name in NAMES]
    while not all(load.positions.values()):
        await asyncio.sleep(0.2)
    await asyncio.sleep(BETWEEN_S)
    old, before = set(processes.pids("ingress")), acknowledged(load)
    # What a new version changes most: what every process of the application is made with.
    await asyncio.to_thread(deploy, settings.model_copy(update={"max_body_bytes": settings.max_body_bytes * 2}))
    given_up = await drained(30)
    await asyncio.sleep(BETWEEN_S)
    load.is_over = True
    await asyncio.gather(*clients)
    counts = {name: (await service.stats(name)).observation_count for name in NAMES}
    await service.close()
    return {
        "is_replaced": old.isdisjoint(processes.pids("ingress")),
        "given_up": given_up,
        "before": before,
        "acknowledged": acknowledged(load),
        "distinct": sum(len(set(positions)) for positions in load.positions.values()),
        "counted": sum(counts.values()),
        "wait_s_max": max(load.waits_s),
        "errors": dict(load.errors),
    }


def acknowledged(load: Load) -> int:
    return sum(map(len, load.positions.values()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as volume, simulated_nodes(2) as nodes:
        chosen = Settings(
            memory_storage_path=str(Path(volume, "v")),
            port=free_port(),
            encoder="hash",
            log_level="ERROR",
            auth="open",
            ingress_replicas=2,
        )
        deploy(chosen)
        print(json.dumps(asyncio.run(run(chosen, ServiceProcesses(nodes)))))
