"""The part of the HTTP client that is about jobs. See ``http_client``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, TypeVar

import httpx

from deployments.job_request import JobRequest
from memory_core.jobs.plan import JobId
from memory_core.jobs.progress import JobInfo, JobPage

_Answer = TypeVar("_Answer")


class RemoteJobs:
    """Jobs of a running service."""

    async def _ask(self, kind: type[_Answer], method: str, path: str, body: object = None, **extra: Any) -> _Answer:
        """Send one request and parse its answer."""
        raise NotImplementedError

    async def _send(self, method: str, path: str, body: object = None, **extra: Any) -> httpx.Response:
        """Send one request."""
        raise NotImplementedError

    async def submit_job(self, request: JobRequest) -> JobInfo:
        """Have the service teach a corpus; answered once the job is accepted."""
        body = {name: value for name, value in asdict(request).items() if value is not None or name == "max_errors"}
        return await self._ask(JobInfo, "POST", "/v1/jobs", body)

    async def job(self, job: JobId) -> JobInfo:
        """How far a job is."""
        return await self._ask(JobInfo, "GET", f"/v1/jobs/{job}")

    async def list_jobs(self, *, limit: int = 50, cursor: str | None = None) -> JobPage:
        """Jobs, newest first."""
        params = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
        return await self._ask(JobPage, "GET", "/v1/jobs", params=params)

    async def cancel_job(self, job: JobId) -> JobInfo:
        """Ask a job to stop; what it taught stays."""
        return await self._ask(JobInfo, "POST", f"/v1/jobs/{job}/cancel")

    async def resume_job(self, job: JobId) -> JobInfo:
        """Go on with a job that failed, was cancelled or interrupted."""
        return await self._ask(JobInfo, "POST", f"/v1/jobs/{job}/resume")

    async def job_rejects(self, job: JobId) -> AsyncIterator[bytes]:
        """Rows that a job could not teach, as lines of JSON."""
        yield (await self._send("GET", f"/v1/jobs/{job}/rejects")).content
