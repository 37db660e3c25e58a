"""The cluster's control service is killed and started again with its tables in Redis, under a service that is called.

Prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cluster.head_node import tables_environment
from cluster.redis_place import RedisPlace
from cluster.simulated_nodes import simulated_nodes
from deployments.http_client import RemoteBackend
from deployments.ports import free_port
from deployments.serve_process import deploy
from deployments.settings import Settings
from memory_core.errors import NeuralMemoryError
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, Observation, ObserveOptions

NAMES = [MemoryName(f"m{number}") for number in range(4)]
SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
DOWN_S = 5.0
WAIT_S = 120.0


async def learn(service: RemoteBackend, name: MemoryName, text: str) -> None:
    """Until it is acknowledged."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            await service.observe(name, [Observation(text=text)], ObserveOptions())
        except NeuralMemoryError:
            if time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(0.2)
        else:
            return


async def run(nodes: Any, settings: Settings) -> dict[str, Any]:
    service = RemoteBackend(settings.base_url)
    for name in NAMES:
        await service.create_chosen(name, dict(SMALL))
        await learn(service, name, f"before {name}")
    before = [await service.stats(name) for name in NAMES]
    (pid,) = nodes.control_pids()
    os.kill(pid, signal.SIGKILL)
    killed_s, answered_while_down = time.monotonic(), 0
    while time.monotonic() - killed_s < DOWN_S:
        try:
            await asyncio.wait_for(service.infer(NAMES[0], "before", InferOptions()), 1)
            answered_while_down += 1
        except (NeuralMemoryError, TimeoutError):
            pass
    await asyncio.to_thread(nodes.restart_control)
    restarted_s = time.monotonic()
    for name in NAMES:
        await learn(service, name, f"after {name}")
    back_s = time.monotonic() - restarted_s
    new = MemoryName("made-after")
    await service.create_chosen(new, dict(SMALL))
    await learn(service, new, "after")
    after = [await service.stats(name) for name in NAMES]
    await service.close()
    return {
        "answered_while_down": answered_while_down,
        "back_s": back_s,
        "counts": [one.observation_count for one in after],
        "is_same_owner": [one.epoch for one in before] == [one.epoch for one in after],
        "control": [pid, *nodes.control_pids()],
    }


if __name__ == "__main__":
    redis = RedisPlace(address=sys.argv[1], user="", password="")
    os.environ.update(tables_environment(redis))
    with tempfile.TemporaryDirectory() as volume, simulated_nodes(2) as started:
        chosen = Settings(
            memory_storage_path=str(Path(volume, "v")), port=free_port(), encoder="hash", log_level="ERROR", auth="open"
        )
        deploy(chosen)
        print(json.dumps(asyncio.run(run(started, chosen))))
