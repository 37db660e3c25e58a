"""Routes for the versions of a memory: publish, list, go back, fork."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from deployments.http.failures import documented
from deployments.http.memories import CursorParam, LimitParam
from deployments.http.schemas import CheckpointRequest, ForkRequest, RestoreRequest, RollbackRequest
from deployments.http.services import BackendParam, NameParam
from deployments.http.versions import OnlyIfParam
from deployments.text_rules import check_description
from memory_core.ids import Seq, parse_memory_name, parse_tag
from memory_core.results import CheckpointInfo, CheckpointPage, ForkResult, RestoreResult, RollbackResult

router = APIRouter(prefix="/v1/memories/{name}", tags=["checkpoints"])

PrefixParam = Annotated[str, Query(max_length=128, description="Only tags that start with this.")]
_CHANGES = documented(400, 404, 409, 413, 422, 500, 503)


@router.post("/checkpoints", status_code=201, responses=_CHANGES)
async def checkpoint(name: NameParam, body: CheckpointRequest, backend: BackendParam) -> CheckpointInfo:
    """Publish the current state under a tag."""
    check_description(body.description)
    return await backend.checkpoint(name, parse_tag(body.tag), body.description, include_momentum=body.include_momentum)


@router.get("/checkpoints", responses=documented(404, 422, 503))
async def list_checkpoints(
    name: NameParam,
    backend: BackendParam,
    prefix: PrefixParam = "",
    limit: LimitParam = 100,
    cursor: CursorParam = None,
) -> CheckpointPage:
    """Checkpoints, newest first."""
    return await backend.list_checkpoints(name, prefix=prefix, limit=limit, cursor=cursor)


@router.post("/restore", responses=documented(404, 409, 412))
async def restore(name: NameParam, body: RestoreRequest, backend: BackendParam, only_if: OnlyIfParam) -> RestoreResult:
    """Go back to a checkpoint; what was observed after it is no longer in the memory."""
    return await backend.restore(name, parse_tag(body.tag), restore_momentum=body.restore_momentum, only_if=only_if)


@router.post("/rollback", responses=documented(400, 404, 409, 412))
async def rollback(
    name: NameParam, body: RollbackRequest, backend: BackendParam, only_if: OnlyIfParam
) -> RollbackResult:
    """Go back to an earlier position that the journal still reaches, also one without a checkpoint."""
    return await backend.rollback(name, Seq(body.to_seq), only_if=only_if)


@router.post("/fork", status_code=201, responses=_CHANGES)
async def fork(name: NameParam, body: ForkRequest, backend: BackendParam) -> ForkResult:
    """A new memory that starts from a checkpoint of this one."""
    return await backend.fork(name, parse_tag(body.tag), parse_memory_name(body.name))
