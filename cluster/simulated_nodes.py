"""Several Ray nodes on this machine, each with a raylet: for measurements and tests of what happens between them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cluster import ray_api
from cluster.ray_api import SimulatedNodes

_CPUS: Final = 2
_OBJECT_STORE_BYTES: Final = 100 << 20


@contextmanager
def simulated_nodes(count: int) -> Iterator[SimulatedNodes]:
    """A connected cluster of ``count`` nodes, ended afterwards."""
    # A short path: Unix sockets inside it may have 107 characters at most.
    folder = tempfile.mkdtemp(prefix="nm-ray-")
    nodes = ray_api.start_nodes(folder, count, cpus=_CPUS, object_store_bytes=_OBJECT_STORE_BYTES)
    try:
        yield nodes
    finally:
        nodes.stop()
        shutil.rmtree(folder, ignore_errors=True)
