"""Processor time of a service's processes, by what they do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import psutil

HOST: Final = "host"
FRONT: Final = "front"
ENCODER: Final = "encoder"
REST: Final = "rest"
# What Ray writes into the command line of its workers; HAProxy has the path of its program there.
_TITLES: Final = {
    "ray::MemoryHost": HOST,
    "ray::ServeReplica:neural-memory:ingress": FRONT,
    "ray::ProxyActor": FRONT,
    "ray::HAProxyManager": FRONT,
    "ray::ServeReplica:neural-memory:encoder": ENCODER,
}
_HAPROXY: Final = "haproxy"


def processor_s() -> Mapping[int, tuple[str, float]]:
    """Of every process below this one: what it is and its seconds so far."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            times, words = process.cpu_times(), " ".join(process.cmdline())
            kind = FRONT if process.name() == _HAPROXY else _kind(words)
        except psutil.Error:  # it has just ended
            continue
        found[process.pid] = (kind, times.user + times.system)
    return found


def spent_s(before: Mapping[int, tuple[str, float]]) -> Mapping[str, float]:
    """Seconds by kind since then; a process that has ended in between is not counted."""
    spent: dict[str, float] = defaultdict(float)
    for pid, (kind, now_s) in processor_s().items():
        spent[kind] += now_s - before.get(pid, (kind, 0.0))[1]
    return spent


def _kind(words: str) -> str:
    return next((kind for title, kind in _TITLES.items() if words.startswith(title)), REST)
