"""Jobs for whoever calls: a key sees jobs of its tenant about memories that it sees, and teaches no others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from typing import Final, Protocol

from deployments.access.audit import AuditTrail
from deployments.access.principal import EVERY_MEMORY, Principal, caller
from deployments.job_request import House, JobOwner, JobRequest, make_plan
from memory_core.errors import Forbidden, NeuralMemoryError
from memory_core.ids import MemoryName
from memory_core.jobs.plan import JobId, JobPlan
from memory_core.jobs.progress import JobInfo, JobPage
from memory_core.jobs.record import job_not_found

_PAGE: Final = 200


class Desk(Protocol):
    """Where jobs are kept and started; ``cluster.job_desk`` is the one of a service."""

    async def submit(self, plan: JobPlan) -> JobInfo:
        """Accept and start a job."""
        ...

    async def start(self, job: JobId) -> JobInfo:
        """Go on with a job."""
        ...

    async def cancel(self, job: JobId) -> JobInfo:
        """Ask a job to stop."""
        ...

    async def page(self, limit: int, cursor: str | None) -> tuple[list[JobPlan], str | None]:
        """Plans, newest first."""
        ...

    async def plan(self, job: JobId) -> JobPlan:
        """What a job does."""
        ...

    async def info(self, job: JobId) -> JobInfo:
        """How far it is."""
        ...

    def rejects(self, job: JobId) -> Iterator[bytes]:
        """Rows that it could not teach."""
        ...


class AuthorizedJobs:
    """What ``principal.caller()`` may do with jobs on ``desk``. ``house``: with the authorised backend.

    ``allowed``: prefixes of URLs that jobs may read. Others' jobs are NotFound, like jobs that do not exist.
    """

    def __init__(
        self, desk: Desk, house: House, *, allowed: tuple[str, ...] = (), audit: AuditTrail | None = None
    ) -> None:
        self._desk = desk
        self._house = house
        self._allowed = allowed
        self._audit = audit

    async def submit(self, request: JobRequest) -> JobInfo:
        """Accept and start a job. Making memories needs the scope admin, as it does elsewhere."""
        who = caller()
        who.require("observe")
        who.require_trust()
        if request.create:
            who.require("admin")
        _require_no_rates(who)
        if request.memory is not None:
            who.stored(MemoryName(request.memory))
        owner = JobOwner(prefix=who.prefix, globs=who.memories, key_id=who.key_id, allowed=self._allowed)
        plan = await make_plan(request, self._house, owner)
        if self._audit is not None:
            said = {"call": uuid.uuid4().hex, "tenant": who.tenant, "key_id": who.key_id, "action": "job"}
            await self._audit.record(**said, memory=request.memory or "*", outcome="asked")
        return await _shown(who, self._desk.submit(plan))

    async def info(self, job: JobId) -> JobInfo:
        """How far a job is."""
        who = await self._visible(job)
        return await _shown(who, self._desk.info(job))

    async def cancel(self, job: JobId) -> JobInfo:
        """Ask a job to stop."""
        who = await self._visible(job)
        who.require("observe")
        return await _shown(who, self._desk.cancel(job))

    async def resume(self, job: JobId) -> JobInfo:
        """Go on with a job."""
        who = await self._visible(job)
        who.require("observe")
        return await _shown(who, self._desk.start(job))

    async def rejects(self, job: JobId) -> bytes:
        """Rows that a job could not teach, as lines of JSON."""
        await self._visible(job)
        return await asyncio.to_thread(lambda: b"".join(self._desk.rejects(job)))

    async def list_jobs(self, *, limit: int = 50, cursor: str | None = None) -> JobPage:
        """Jobs that the key sees, newest first."""
        who = caller()
        found: list[JobPlan] = []
        while True:
            plans, following = await self._desk.page(_PAGE, cursor)
            for plan in plans:
                if _sees(who, plan):
                    found.append(plan)
                if len(found) > limit:
                    return await self._page(who, found[:limit], found[limit - 1].job_id)
            if following is None:
                return await self._page(who, found, None)
            cursor = following

    async def _page(self, who: Principal, plans: list[JobPlan], cursor: str | None) -> JobPage:
        infos = [await _shown(who, self._desk.info(plan.job_id)) for plan in plans]
        return JobPage(jobs=tuple(infos), next_cursor=cursor)

    async def _visible(self, job: JobId) -> Principal:
        who = caller()
        if not _sees(who, await self._desk.plan(job)):
            raise job_not_found(job)
        return who


def _sees(who: Principal, plan: JobPlan) -> bool:
    if plan.prefix != who.prefix:
        return False
    if plan.memory is not None:
        return who.sees(plan.memory)
    return who.memories == EVERY_MEMORY or plan.key_id == who.key_id


def _require_no_rates(who: Principal) -> None:
    """A job reads as fast as it can, so a key that may not cannot start one."""
    if who.limits.observations_per_s is not None or who.limits.bytes_per_day is not None:
        raise Forbidden(
            "This key has a rate or a daily quota, which a job would pass by.",
            code="JOB_NOT_ALLOWED",
            hint="Use a key without them, or observe request by request.",
        )


async def _shown(who: Principal, work: Awaitable[JobInfo]) -> JobInfo:
    """How far a job is, or the error, in the names of the tenant."""
    try:
        info = await work
    except NeuralMemoryError as error:
        error.message, error.hint = who.shown(error.message), who.shown(error.hint)
        error.args = (error.message,)
        raise
    failures = tuple(replace(one, reason=who.shown(one.reason)) for one in info.failures)
    return replace(info, failures=failures, error=None if info.error is None else who.shown(info.error))
