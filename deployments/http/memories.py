"""Routes that make, list, show and remove memories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from cluster.placement_report import PlacementReport
from deployments.http.answers import DeletePlan, OwnerAnswer
from deployments.http.failures import documented
from deployments.http.schemas import ChangeRequest, CreateRequest
from deployments.http.services import BackendParam, NameParam, ServicesParam
from deployments.http.versions import OnlyIfParam, set_etag
from deployments.memory_spec import complete_spec
from deployments.text_rules import check_description
from memory_core.errors import NotFound
from memory_core.ids import parse_memory_name
from memory_core.results import MemoryInfo, MemoryPage, MemoryStats
from memory_core.terms import MemoryTerms, require_version

router = APIRouter(prefix="/v1/memories", tags=["memories"])

LimitParam = Annotated[int, Query(ge=1, le=1000, description="Entries on one page.")]
CursorParam = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]

DryRunParam = Annotated[bool, Query(description="Only tell what would go.")]
DetailedParam = Annotated[bool, Query(description="Also measure how full the memory is; takes a moment.")]


@router.post("", status_code=201, responses=documented(400, 409, 413, 422, 429, 503))
async def create_memory(body: CreateRequest, services: ServicesParam) -> MemoryInfo:
    """Create an empty memory."""
    name = parse_memory_name(body.name)
    check_description(body.description)
    spec = await complete_spec(services.encoders, services.encoder, body.chosen(), services.memory_defaults)
    return await services.backend.create(name, spec.config, spec.terms)


@router.get("", responses=documented(422, 503))
async def list_memories(backend: BackendParam, limit: LimitParam = 100, cursor: CursorParam = None) -> MemoryPage:
    """Memories in name order."""
    return await backend.list_memories(limit=limit, cursor=cursor)


@router.get("/{name}", responses=documented(404, 422, 500, 503))
async def memory_stats(
    name: NameParam, backend: BackendParam, response: Response, detailed: DetailedParam = False
) -> MemoryStats:
    """Counts, weight hash (the ETag) and capacity of one memory."""
    stats = await backend.stats(name, detailed=detailed)
    set_etag(response, stats.weight_hash)
    return stats


@router.patch("/{name}", responses=documented(400, 404, 412))
async def change_memory(
    name: NameParam, body: ChangeRequest, backend: BackendParam, only_if: OnlyIfParam
) -> MemoryTerms:
    """Change what may change: the description, whether the memory learns, and how long it lives from now on."""
    check_description(body.description or "")
    return await backend.change(name, body.to_change(), only_if=only_if)


@router.get("/{name}/owner", responses=documented(404, 422, 500, 503))
async def memory_owner(name: NameParam, services: ServicesParam) -> OwnerAnswer:
    """Which process holds the memory, for operators."""
    return OwnerAnswer(memory=name, pid=await services.owner_pid(name))


@router.get("/{name}/placement", responses=documented(404, 422, 503))
async def memory_placement(name: NameParam, services: ServicesParam) -> PlacementReport:
    """Where the memory lives and why, without waking it."""
    if services.placement is None:
        raise NotFound("There is no cluster here, so nothing is placed.", code="NO_CLUSTER", hint="Ask a service.")
    return await services.placement(name)


@router.post("/{name}/restart", status_code=204, responses=documented(404, 409, 422, 503))
async def restart_memory(name: NameParam, services: ServicesParam) -> None:
    """End the process that holds the memory, without warning to it; the next call reaches a new one.

    Only for a memory that has a process of its own. Nothing that was acknowledged is lost.
    """
    if services.restart is None:
        raise NotFound("There is no cluster here, so nothing restarts.", code="NO_CLUSTER", hint="Ask a service.")
    await services.restart(name)


@router.delete(
    "/{name}",
    status_code=204,
    response_model=None,
    responses={200: {"model": DeletePlan, "description": "A dry run."}, **documented(404, 412)},
)
async def delete_memory(
    name: NameParam, backend: BackendParam, response: Response, only_if: OnlyIfParam, dry_run: DryRunParam = False
) -> DeletePlan | None:
    """Remove a memory with its journal and checkpoints. This cannot be undone."""
    if not dry_run:
        await backend.delete(name, only_if=only_if)
        return None
    stats = await backend.stats(name)
    require_version(name, stats.weight_hash, only_if)
    response.status_code = 200
    return DeletePlan(
        memory=name,
        observation_count=stats.observation_count,
        pattern_count=stats.pattern_count,
        state_bytes=stats.state_bytes,
        checkpoint_tags=stats.checkpoint_tags,
    )
