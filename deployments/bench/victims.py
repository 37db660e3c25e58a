"""Processes of a service on simulated nodes, by what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cluster.ray_api import SimulatedNodes

RAYLET: Final = "raylet"
# What Ray writes into the command line of its workers.
_TITLES: Final = {
    "host": "ray::MemoryHost",
    "volume": "ray::VolumeActor",
    "ingress": "ray::ServeReplica:neural-memory:ingress",
    "encoder": "ray::ServeReplica:neural-memory:encoder",
    "controller": "ray::ServeController",
}
KINDS: Final = ("host", "host", *_TITLES, RAYLET)


class ServiceProcesses:
    """Those of the cluster that this process started."""

    def __init__(self, nodes: SimulatedNodes) -> None:
        self._nodes = nodes

    def pids(self, kind: str) -> Sequence[int]:
        """Those of a kind that run now."""
        if kind == RAYLET:
            return self._nodes.raylet_pids()
        import psutil

        titled = []
        for process in psutil.Process().children(recursive=True):
            try:
                if " ".join(process.cmdline()).startswith(_TITLES[kind]):
                    titled.append(process.pid)
            except psutil.Error:  # it has just ended
                continue
        return titled

    def mend(self, kind: str) -> None:
        """A node that was lost is replaced by a new one, as an autoscaler would."""
        if kind == RAYLET:
            self._nodes.add()
