"""Routes for the supervisor: is the process alive, can it do its work, how did it do."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends, Response

from deployments.access.principal import caller
from deployments.http.answers import HealthAnswer, ReadyAnswer
from deployments.http.failures import documented
from deployments.http.services import ServicesParam
from memory_core.errors import Unavailable

_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
router = APIRouter(tags=["probes"])


@router.get("/health", responses=documented())
async def health() -> HealthAnswer:
    """Alive: this process answers."""
    return HealthAnswer()


@router.get("/ready", responses=documented())
async def ready(services: ServicesParam) -> ReadyAnswer:
    """Ready: storage and the default encoder answer too. 503 with the reasons until then."""
    reasons = await services.readiness.reasons()
    if reasons:
        raise Unavailable(" ".join(reasons), code="NOT_READY", hint="Wait, or look at the log of the service.")
    return ReadyAnswer()


async def _operator() -> None:
    caller().require("admin")


@router.get(
    "/metrics",
    response_class=Response,
    dependencies=[Depends(_operator)],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented()},
)
async def metrics(services: ServicesParam) -> Response:
    """Counters and latencies of this replica, and the newest jobs, in the text format of Prometheus."""
    if services.jobs is not None:
        services.metrics.tell_jobs((await services.jobs.list_jobs()).jobs)
    return Response(services.metrics.exposition(), media_type=_EXPOSITION)
