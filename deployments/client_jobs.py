"""The part of the typed client that is about jobs. See ``client``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Final, TypeVar

from deployments.http_jobs import RemoteJobs
from deployments.job_request import JobRequest
from memory_core.jobs.plan import parse_job_id
from memory_core.jobs.progress import JobInfo

_PAGE: Final = 100
_T = TypeVar("_T")


class AsyncJobs:
    """Corpora that the service teaches in the background."""

    _remote: RemoteJobs

    async def submit_job(self, source: str, **request: Any) -> JobInfo:
        """Start a job; ``request``: the other fields of JobRequest. Answered once it is accepted."""
        return await self._remote.submit_job(JobRequest(source=source, **request))

    async def job(self, job: str) -> JobInfo:
        """Counts, rate, time left, and the first rows that were rejected."""
        return await self._remote.job(parse_job_id(job))

    async def jobs(self) -> AsyncIterator[JobInfo]:
        """All jobs that the key sees, newest first."""
        cursor: str | None = None
        while True:
            page = await self._remote.list_jobs(limit=_PAGE, cursor=cursor)
            for info in page.jobs:
                yield info
            cursor = page.next_cursor
            if cursor is None:
                return

    async def cancel_job(self, job: str) -> JobInfo:
        """Ask a job to stop; what it taught stays."""
        return await self._remote.cancel_job(parse_job_id(job))

    async def resume_job(self, job: str) -> JobInfo:
        """Go on with a job that failed, was cancelled or interrupted."""
        return await self._remote.resume_job(parse_job_id(job))


class Jobs:
    """As AsyncJobs, for code without asyncio."""

    _client: AsyncJobs

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for work on the client's loop."""
        raise NotImplementedError

    def submit_job(self, source: str, **request: Any) -> JobInfo:
        """See AsyncJobs."""
        return self._do(self._client.submit_job(source, **request))

    def job(self, job: str) -> JobInfo:
        """See AsyncJobs."""
        return self._do(self._client.job(job))

    def jobs(self) -> Iterator[JobInfo]:
        """See AsyncJobs."""
        return iter(self._do(_all(self._client.jobs())))

    def cancel_job(self, job: str) -> JobInfo:
        """See AsyncJobs."""
        return self._do(self._client.cancel_job(job))

    def resume_job(self, job: str) -> JobInfo:
        """See AsyncJobs."""
        return self._do(self._client.resume_job(job))


async def _all(infos: AsyncIterator[JobInfo]) -> list[JobInfo]:
    return [info async for info in infos]
