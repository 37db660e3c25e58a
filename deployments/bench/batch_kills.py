"""A whole job whose driver, one encoder and the memory's process are each killed once, at random."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from deployments.bench.batch import Ran
from deployments.job_request import JobRequest
from deployments.settings import Settings
from memory_core.jobs.plan import JobId
from memory_core.jobs.progress import ENDED, JobInfo

DRIVER: Final = "ray::JobRunner"
ENCODER: Final = "ray::MapWorker"
MEMORY: Final = "ray::MemoryHost"
"""How Ray titles its processes."""
_FIRST_PART: Final = 0.05
_LAST_PART: Final = 0.9
_POLL_S: Final = 0.25


def pids_of(title: str) -> list[int]:
    """Processes below this one whose title begins so."""
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if " ".join(process.cmdline()).startswith(title):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


class Killer:
    """Kills one process of each kind once, when the job has dealt with as many rows as were drawn for it."""

    def __init__(self, count: int) -> None:
        self._at = {
            title: random.randrange(int(count * _FIRST_PART), int(count * _LAST_PART))
            for title in (DRIVER, ENCODER, MEMORY)
        }
        self.killed: dict[str, int] = {}

    def told(self, info: JobInfo) -> None:
        """Kill whose hour has come."""
        for title, items in list(self._at.items()):
            if info.items >= items and (pids := pids_of(title)):
                del self._at[title]
                os.kill(pids[0], signal.SIGKILL)
                self.killed[title.removeprefix("ray::")] = info.items


def run_job_in_actors(
    settings: Settings, request: JobRequest, watchers: Sequence[Callable[[JobInfo], None]], cpus: int | None = None
) -> Ran:
    """A whole job that an actor drives, as in a service, on a cluster of its own."""
    from deployments.local_jobs import accept_local, joined_ray

    plan = asyncio.run(accept_local(settings, request))
    with joined_ray(cpus=cpus):
        began_s = time.perf_counter()
        info = asyncio.run(_followed(settings, plan.job_id, watchers))
        return Ran(info, began_s, time.perf_counter())


async def _followed(settings: Settings, job: JobId, watchers: Sequence[Callable[[JobInfo], None]]) -> JobInfo:
    from cluster.job_desk import JobDesk
    from deployments.cluster_settings import cluster_settings
    from memory_core.storage.open_store import open_store

    desk = JobDesk(open_store(settings.storage_url), settings.storage_url, cluster_settings(settings))
    info = await desk.start(job)
    while info.status not in ENDED:
        await asyncio.sleep(_POLL_S)
        info = await desk.info(job)
        for watcher in watchers:
            watcher(info)
    return info
