"""Routes that make, list, show and remove memories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from deployments.http.failures import documented
from deployments.http.schemas import CreateRequest, OwnerAnswer
from deployments.http.services import BackendParam, NameParam, ServicesParam
from deployments.memory_spec import complete_config
from memory_core.ids import parse_memory_name
from memory_core.results import MemoryInfo, MemoryPage, MemoryStats

router = APIRouter(prefix="/v1/memories", tags=["memories"])

LimitParam = Annotated[int, Query(ge=1, le=1000, description="Entries on one page.")]
CursorParam = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]

DetailedParam = Annotated[bool, Query(description="Also measure how full the memory is; takes a moment.")]


@router.post("", status_code=201, responses=documented(400, 409, 413, 422, 429, 503))
async def create_memory(body: CreateRequest, services: ServicesParam) -> MemoryInfo:
    """Create an empty memory."""
    name = parse_memory_name(body.name)
    config = await complete_config(services.encoders, services.encoder, body.chosen())
    return await services.backend.create(name, config)


@router.get("", responses=documented(422, 503))
async def list_memories(backend: BackendParam, limit: LimitParam = 100, cursor: CursorParam = None) -> MemoryPage:
    """Memories in name order."""
    return await backend.list_memories(limit=limit, cursor=cursor)


@router.get("/{name}", responses=documented(404, 422, 500, 503))
async def memory_stats(name: NameParam, backend: BackendParam, detailed: DetailedParam = False) -> MemoryStats:
    """Counts, weight hash and capacity of one memory."""
    return await backend.stats(name, detailed=detailed)


@router.get("/{name}/owner", responses=documented(404, 422, 500, 503))
async def memory_owner(name: NameParam, services: ServicesParam) -> OwnerAnswer:
    """Which process holds the memory, for operators."""
    return OwnerAnswer(memory=name, pid=await services.owner_pid(name))


@router.delete("/{name}", status_code=204, responses=documented(404, 422, 503))
async def delete_memory(name: NameParam, backend: BackendParam) -> None:
    """Remove a memory with its journal and checkpoints. This cannot be undone."""
    await backend.delete(name)
