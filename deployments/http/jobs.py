"""Routes of jobs: corpora that are taught in the background."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from deployments.access.authorized_jobs import AuthorizedJobs
from deployments.http.failures import documented
from deployments.http.schemas import Body, example
from deployments.http.services import ServicesParam
from deployments.job_request import JobRequest
from memory_core.errors import InvalidInput
from memory_core.jobs.plan import MAX_ERRORS, JobId, Split, parse_job_id
from memory_core.jobs.progress import JobInfo, JobPage

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class JobBody(Body):
    """What to teach to what. Either `memory`, or `memory_field`: then each row names its memory."""

    model_config = example(source="s3://corpus/notes/*.jsonl", memory="notes", session_field="thread")

    source: str = Field(max_length=4096, description="URL or pattern, in a place that the operator allows.")
    memory: str | None = None
    memory_field: str | None = None
    domain: str | None = None
    text_field: str = "text"
    time_field: str | None = None
    session_field: str | None = Field(default=None, description="The order within a session is kept.")
    split: Split = "auto"
    form: str | None = Field(default=None, description="text, markdown, jsonl, csv, tsv or parquet.")
    encoder: str | None = Field(default=None, description="Of memories that are made.")
    create: bool = Field(default=False, description="Make memories that are missing.")
    min_surprise: float | None = Field(default=None, ge=0.0, le=1.0, description="Skip what is less new than that.")
    max_errors: int | None = Field(default=MAX_ERRORS, ge=0, description="Null: never fail for rejected rows.")
    encoders: int | None = Field(default=None, ge=1, le=1024, description="How many encode at once.")
    gpus: float = Field(default=0.0, ge=0.0, le=64.0, description="Of each of them; 0.5 lets two share one.")
    job: str | None = Field(default=None, description="An id of your own; the same id goes on where it was.")


def _jobs(services: ServicesParam) -> AuthorizedJobs:
    if services.jobs is None:
        raise InvalidInput(
            "This service has no cluster to run jobs on.", code="NO_JOBS", hint="Use neural-memory serve."
        )
    return services.jobs


def _job(job: str) -> JobId:
    return parse_job_id(job)


JobsParam = Annotated[AuthorizedJobs, Depends(_jobs)]
JobParam = Annotated[JobId, Depends(_job)]


@router.post("", status_code=202, responses=documented(404, 409))
async def submit(body: JobBody, jobs: JobsParam, request: Request, response: Response) -> JobInfo:
    """Start a job; answered once it is durable. Look at `/v1/jobs/{job}` for its progress."""
    info = await jobs.submit(JobRequest(**body.model_dump()))
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{info.job}"
    return info


@router.get("", responses=documented())
async def list_jobs(
    jobs: JobsParam,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> JobPage:
    """Jobs, newest first."""
    return await jobs.list_jobs(limit=limit, cursor=None if cursor is None else parse_job_id(cursor))


@router.get("/{job}", responses=documented(404))
async def info(job: JobParam, jobs: JobsParam) -> JobInfo:
    """Counts, rate, time left, and the first rows that were rejected."""
    return await jobs.info(job)


@router.post("/{job}/cancel", status_code=202, responses=documented(404, 409))
async def cancel(job: JobParam, jobs: JobsParam) -> JobInfo:
    """Ask a job to stop. What it taught stays."""
    return await jobs.cancel(job)


@router.post("/{job}/resume", status_code=202, responses=documented(404, 409))
async def resume(job: JobParam, jobs: JobsParam) -> JobInfo:
    """Go on with a job that failed, was cancelled or was interrupted."""
    return await jobs.resume(job)


@router.get("/{job}/rejects", response_class=Response, responses=documented(404))
async def rejects(job: JobParam, jobs: JobsParam) -> Response:
    """Every rejected row as a line of JSON: {file, line, reason}."""
    return Response(await jobs.rejects(job), media_type="application/x-ndjson")
