"""Jobs on a volume: the plan, the record of its progress, its rejects, and who may work on it. Blocks; thread-safe.

A run claims the next number by a create-if-absent object, as a writer claims an epoch; a run that sees a later one
ends. A reject list is one object per window, so that a window that is taught again writes the same one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from memory_core.errors import Conflict, Fenced, NotFound
from memory_core.jobs.plan import JobId, JobPlan
from memory_core.jobs.progress import ENDED, Failure, JobInfo, JobPage, JobProgress, told
from memory_core.storage import keys
from memory_core.storage.documents import create_document, pack_document, read_document
from memory_core.storage.object_store import ObjectStore

_PLAN: Final = "job"
_PROGRESS: Final = "job-progress"
_RUN: Final = "job-run"


class JobShelf:
    """The jobs of a volume."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def accept(self, plan: JobPlan) -> JobPlan:
        """Keep a plan; the one that is kept already when it asks for the same, else Conflict (JOB_EXISTS)."""
        if not create_document(self._store, keys.job_plan(plan.job_id), _PLAN, plan.to_dict()):
            kept = self.plan(plan.job_id)
            if _asked(kept) != _asked(plan):
                raise Conflict(
                    f"The job {plan.job_id} exists and does something else.",
                    code="JOB_EXISTS",
                    hint="Choose another id, or resume it with: neural-memory batch resume",
                )
            return kept
        self.write(plan.job_id, JobProgress(updated_at=_now().isoformat()))
        return plan

    def plan(self, job: JobId) -> JobPlan:
        """What a job does; NotFound (JOB_NOT_FOUND)."""
        try:
            return read_document(self._store, keys.job_plan(job), _PLAN, JobPlan.from_dict)
        except NotFound as error:
            raise job_not_found(job) from error

    def progress(self, job: JobId) -> JobProgress:
        """How far a job is."""
        try:
            return read_document(self._store, keys.job_progress(job), _PROGRESS, JobProgress.from_dict)
        except NotFound:
            return JobProgress()  # it was accepted an instant ago

    def write(self, job: JobId, progress: JobProgress) -> None:
        """Keep how far a job is."""
        self._store.put(keys.job_progress(job), pack_document(_PROGRESS, progress.to_dict()))

    def info(self, job: JobId) -> JobInfo:
        """A job as people see it; NotFound (JOB_NOT_FOUND)."""
        return told(self.plan(job), self.progress(job), _now())

    def page(self, limit: int, cursor: str | None) -> tuple[list[JobPlan], str | None]:
        """Plans of a page of jobs, newest first."""
        found = sorted((keys.last_part(one.key) for one in self._store.list_objects(keys.JOB_PLANS)), reverse=True)
        wanted = [JobId(job) for job in found if cursor is None or job < cursor]
        chosen = wanted[:limit]
        return [self.plan(job) for job in chosen], chosen[-1] if len(wanted) > limit else None

    def list_jobs(self, limit: int = 50, cursor: str | None = None) -> JobPage:
        """A page of jobs, newest first."""
        plans, following = self.page(limit, cursor)
        infos = tuple(told(plan, self.progress(plan.job_id), _now()) for plan in plans)
        return JobPage(jobs=infos, next_cursor=following)

    def cancel(self, job: JobId) -> None:
        """Ask whoever works on it to stop; what was learned stays. NotFound (JOB_NOT_FOUND)."""
        self.plan(job)
        progress = self.progress(job)
        if progress.status in ENDED:
            return
        create_document(self._store, keys.job_cancelled(job), _RUN, {})
        if told(self.plan(job), progress, _now()).status in {"interrupted", "pending"}:
            progress.status = "cancelled"
            self.write(job, progress)

    def is_cancelled(self, job: JobId) -> bool:
        """True once it was cancelled."""
        return self._store.exists(keys.job_cancelled(job))

    def claim(self, job: JobId) -> int:
        """The number of a new run; every earlier one is fenced. Takes a cancellation back."""
        number = self.progress(job).run + 1
        while not create_document(self._store, keys.job_run(job, number), _RUN, {}):
            number += 1
        with suppress(NotFound):
            self._store.delete(keys.job_cancelled(job))
        return number

    def require_newest(self, job: JobId, run: int) -> None:
        """Fenced when a later run began."""
        if self._store.exists(keys.job_run(job, run + 1)):
            raise Fenced(f"Another process works on the job {job} now.", code="JOB_TAKEN_OVER", hint="Follow that one.")

    def write_rejects(self, job: JobId, window: int, failures: Sequence[Failure]) -> None:
        """Keep the rejected rows of a window."""
        if failures:
            lines = b"".join(json.dumps(asdict(one), ensure_ascii=True).encode() + b"\n" for one in failures)
            self._store.put(keys.job_rejects(job, window), lines)

    def rejects(self, job: JobId) -> Iterator[bytes]:
        """The rejected rows as lines of JSON, window by window."""
        self.plan(job)
        for one in self._store.list_objects(keys.job_reject_lists(job)):
            yield self._store.get(one.key)


def job_not_found(job: str) -> NotFound:
    """The error of an unknown job."""
    return NotFound(f"There is no job {job}.", code="JOB_NOT_FOUND", hint="List them: neural-memory batch list")


def _asked(plan: JobPlan) -> dict[str, object]:
    facts = plan.to_dict()
    del facts["created_at"]
    return facts


def _now() -> datetime:
    return datetime.now(UTC)
