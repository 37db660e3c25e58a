"""Jobs of a volume over the connected cluster: accepted, started, looked at, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from cluster import ray_api
from cluster.job_runner import JobRunner
from cluster.owners import Call, Owners, OwnerSpec
from cluster.ray_backend import ClusterSettings
from memory_core.errors import Conflict
from memory_core.jobs.plan import JobId, JobPlan
from memory_core.jobs.progress import ENDED, JobInfo
from memory_core.jobs.record import JobShelf
from memory_core.storage.object_store import ObjectStore

_START_DEADLINE_S: Final = 120.0


class JobDesk:
    """Jobs as the records on the volume tell them; an actor drives each that runs."""

    def __init__(self, store: ObjectStore, storage_url: str, settings: ClusterSettings) -> None:
        self.shelf = JobShelf(store)
        self._storage_url = storage_url
        self._settings = settings
        self._runners = Owners(_START_DEADLINE_S)

    async def submit(self, plan: JobPlan) -> JobInfo:
        """Accept a job and start it; a job that is accepted already goes on. Conflict (JOB_EXISTS)."""
        kept = await asyncio.to_thread(self.shelf.accept, plan)
        return await self.start(kept.job_id)

    async def start(self, job: JobId) -> JobInfo:
        """Go on with a job unless it succeeded. NotFound (JOB_NOT_FOUND)."""
        info = await asyncio.to_thread(self.shelf.info, job)
        if info.status == "succeeded":
            return info
        if info.status in ENDED:
            # The runner of the run that ended may still be leaving.
            await self._runners.end(self._spec(job))
        await self._runners.call(self._spec(job), Call("ping"))
        return await asyncio.to_thread(self.shelf.info, job)

    async def cancel(self, job: JobId) -> JobInfo:
        """Ask a job to stop; what it taught stays. Conflict (JOB_ENDED) when it succeeded."""
        info = await asyncio.to_thread(self.shelf.info, job)
        if info.status == "succeeded":
            raise Conflict(f"The job {job} is done.", code="JOB_ENDED", hint="Restore a checkpoint to undo it.")
        await asyncio.to_thread(self.shelf.cancel, job)
        return await asyncio.to_thread(self.shelf.info, job)

    async def page(self, limit: int, cursor: str | None) -> tuple[list[JobPlan], str | None]:
        """Plans, newest first."""
        return await asyncio.to_thread(self.shelf.page, limit, cursor)

    async def plan(self, job: JobId) -> JobPlan:
        """What a job does; NotFound (JOB_NOT_FOUND)."""
        return await asyncio.to_thread(self.shelf.plan, job)

    async def info(self, job: JobId) -> JobInfo:
        """How far it is."""
        return await asyncio.to_thread(self.shelf.info, job)

    def rejects(self, job: JobId) -> Iterator[bytes]:
        """Rows that it could not teach, as lines of JSON. Blocks."""
        return self.shelf.rejects(job)

    def _spec(self, job: JobId) -> OwnerSpec:
        arguments = (self._storage_url, job, self._settings, ray_api.end_own_actor)
        return OwnerSpec(f"job:{job}", JobRunner, arguments)
