"""Routes for the supervisor: is the process alive, can it do its work."""

from __future__ import annotations

from fastapi import APIRouter

from deployments.http.failures import documented
from deployments.http.schemas import HealthAnswer, ReadyAnswer
from deployments.http.services import ServicesParam
from memory_core.errors import Unavailable

router = APIRouter(tags=["probes"])


@router.get("/health")
async def health() -> HealthAnswer:
    """Alive: this process answers."""
    return HealthAnswer()


@router.get("/ready", responses=documented(503))
async def ready(services: ServicesParam) -> ReadyAnswer:
    """Ready: storage and the default encoder answer too. 503 with the reasons until then."""
    reasons = await services.readiness.reasons()
    if reasons:
        raise Unavailable(" ".join(reasons), code="NOT_READY", hint="Wait, or look at the log of the service.")
    return ReadyAnswer()
