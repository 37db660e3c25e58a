"""A Ray head on this machine that other machines can join, with its tables in Redis when there is one.

Without Redis a head that restarts forgets its cluster; with it, workers and the actors on them live on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cluster import ray_api
from cluster.redis_place import RedisPlace
from memory_core.errors import Unavailable

_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.5
_TABLES: Final = "neural-memory"
_HEALTH: Final = {"RAY_health_check_period_ms": str(ray_api.HEALTH_CHECK_PERIOD_MS)}


@contextmanager
def head_node(folder: str, port: int, redis: RedisPlace | None, *, object_store_bytes: int) -> Iterator[str]:
    """Run a head and stay connected to it until the block ends; gives the folder of its logs.

    Unavailable when it ends, or does not answer within two minutes.
    """
    with Path(folder, "head.log").open("wb") as sink:
        head = subprocess.Popen(
            start_command(folder, port, redis, object_store_bytes),
            env={**_HEALTH, **os.environ, **tables_environment(redis)},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _connected(head, port, folder)
    finally:
        ray_api.leave()
        head.terminate()
        try:
            head.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            head.kill()


def start_command(folder: str, port: int, redis: RedisPlace | None, object_store_bytes: int) -> list[str]:
    """What starts the head. It stays in the foreground and takes its processes with it."""
    command = [
        str(Path(sys.executable).with_name("ray")),
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        "--include-dashboard=false",
        f"--port={port}",
        f"--temp-dir={folder}",
        f"--object-store-memory={object_store_bytes}",
    ]
    if redis is not None and redis.user:
        command.append(f"--redis-username={redis.user}")
    if redis is not None and redis.password:
        command.append(f"--redis-password={redis.password}")
    return command


def tables_environment(redis: RedisPlace | None) -> dict[str, str]:
    """Variables that lead Ray's tables to Redis, apart from those of other clusters."""
    if redis is None:
        return {}
    return {"RAY_REDIS_ADDRESS": redis.address, "RAY_external_storage_namespace": _TABLES}


def _connected(head: subprocess.Popen[bytes], port: int, folder: str) -> str:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s and head.poll() is None:
        logs = ray_api.join_local_node(port)
        if logs is not None:
            return logs
        time.sleep(_POLL_S)
    raise Unavailable("Ray's head did not start.", code="START_FAILED", hint=f"Look at {folder}/head.log.")
