"""The driver of one job as an actor: it starts with its process, and goes on where it was when that dies. Ray-free."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from cluster.packed import Packed
from cluster.ray_backend import ClusterSettings, RayBackend
from memory_core.errors import NeuralMemoryError
from memory_core.jobs.keeper import OnInfo
from memory_core.jobs.plan import JobId, JobPlan, Position
from memory_core.jobs.progress import JobInfo
from memory_core.jobs.record import JobShelf
from memory_core.jobs.run import run_job
from memory_core.jobs.windows import PlacedRow
from memory_core.storage.open_store import open_store

_log = logging.getLogger(__name__)


class JobRunner(Packed):
    """Works on a job of the volume at a URL until it has ended, then calls ``leave``."""

    def __init__(self, storage_url: str, job: JobId, settings: ClusterSettings, leave: Callable[[], None]) -> None:
        # Its constructor is all that Ray repeats after the process was lost.
        threading.Thread(target=self._work, args=(storage_url, job, settings, leave), name="job", daemon=True).start()

    async def ping(self) -> None:
        """Answers once the process is up."""

    def _work(self, storage_url: str, job: JobId, settings: ClusterSettings, leave: Callable[[], None]) -> None:
        try:
            with suppress(NeuralMemoryError):  # its record says it
                drive(storage_url, job, settings)
        except Exception as error:
            _log.error("The job %s ended with %s.", job, type(error).__name__)  # no text of an observation
        finally:
            leave()


def drive(storage_url: str, job: JobId, settings: ClusterSettings, on_info: OnInfo | None = None) -> JobInfo:
    """Work on a job in this process, over the connected cluster. Blocks until it has ended; see ``run_job``."""
    shelf = JobShelf(open_store(storage_url))
    return asyncio.run(
        run_job(shelf, job, lambda keys: RayBackend(storage_url, keys, settings), _stream, on_info=on_info)
    )


def _stream(plan: JobPlan, position: Position) -> Iterator[Sequence[PlacedRow]]:
    # Loading Ray Data takes seconds, in which the memory's process starts.
    from cluster.ray_datasets import ray_stream

    yield from ray_stream(plan, position)
