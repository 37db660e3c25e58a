"""Routes for what waits: observations of sources that are not trusted, until somebody settles them."""

from __future__ import annotations

from fastapi import APIRouter

from deployments.access.quarantine import Settled, Waiting
from deployments.http.failures import documented
from deployments.http.memories import CursorParam, LimitParam
from deployments.http.schemas import SettleRequest
from deployments.http.services import NameParam, QuarantineParam

router = APIRouter(prefix="/v1/memories/{name}/quarantine", tags=["quarantine"])


@router.get("", responses=documented(404, 409))
async def waiting(
    name: NameParam, quarantine: QuarantineParam, limit: LimitParam = 100, cursor: CursorParam = None
) -> Waiting:
    """Observations that wait, in order."""
    return await quarantine.waiting(name, limit=limit, cursor=cursor)


@router.post("/release", responses=documented(400, 404, 409))
async def release(name: NameParam, body: SettleRequest, quarantine: QuarantineParam) -> Settled:
    """Let observations in: the memory learns them now. Repeated, it learns nothing twice."""
    return await quarantine.release(name, body.to_choice())


@router.post("/discard", responses=documented(400, 404, 409))
async def discard(name: NameParam, body: SettleRequest, quarantine: QuarantineParam) -> Settled:
    """Throw observations away. This cannot be undone."""
    return await quarantine.discard(name, body.to_choice())
