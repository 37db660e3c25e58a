"""Runs the service in the foreground: Ray, Serve, the application; ends all of it on Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Final

import ray
from ray import serve

from cluster.head_node import head_node
from cluster.holders import drain_owners
from cluster.ray_api import start_local_ray
from deployments.app import APPLICATION_NAME, build_app
from deployments.settings import MIB, Settings

_OBJECT_STORE_BYTES: Final = 256 * MIB
_DRAIN_TIMEOUT_S: Final = 30.0


def run_service(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serve until a signal comes; ``on_ready`` gets the folder of Ray's logs once requests are answered."""
    stop = threading.Event()
    with _head(settings) if settings.ray_port is not None else local_ray() as logs_folder:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            deploy(settings)
            on_ready(logs_folder)
            stop.wait()
        finally:
            with contextlib.suppress(Exception):
                serve.shutdown()
            # After the doors are closed. What was acknowledged is durable without it: the next start is faster with it.
            drain_owners(_DRAIN_TIMEOUT_S)


def deploy(settings: Settings) -> None:
    """Run the application on the connected cluster; returns once it takes requests."""
    logging.getLogger("ray.serve").setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    logging_config = {"enable_access_log": False, "log_level": settings.log_level}
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": settings.host, "port": settings.port},
        logging_config=logging_config,
    )
    serve.run(build_app(settings), name=APPLICATION_NAME, route_prefix="/", logging_config=logging_config)


@contextlib.contextmanager
def local_ray() -> Iterator[str]:
    """Ray on this machine alone until the block ends; gives the folder of its logs."""
    # A short path of our own: Unix sockets inside it may have 107 characters at most.
    folder = tempfile.mkdtemp(prefix="nm-ray-")
    yield start_local_ray(folder, object_store_bytes=_OBJECT_STORE_BYTES)
    # Only here: after a failure the folder stays, for its logs.
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _head(settings: Settings) -> Iterator[str]:
    """Ray with a port where other machines join, until the block ends; gives the folder of its logs."""
    assert settings.ray_port is not None
    folder = tempfile.mkdtemp(prefix="nm-ray-")
    with head_node(folder, settings.ray_port, settings.redis, object_store_bytes=_OBJECT_STORE_BYTES) as logs_folder:
        yield logs_folder
    shutil.rmtree(folder, ignore_errors=True)
