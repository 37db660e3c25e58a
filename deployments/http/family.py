"""Routes for many forks of a memory: make them, teach them all, compare them, promote one."""

from __future__ import annotations

from fastapi import APIRouter

from deployments.http.failures import documented
from deployments.http.learning import IdempotencyKey
from deployments.http.schemas import CompareRequest, FanOutRequest, ObserveRequest, PromoteRequest
from deployments.http.services import BackendParam, NameParam
from deployments.text_rules import check_observations, check_text
from memory_core.family import fork_names
from memory_core.family_results import CompareResult, FamilyObserveResult, FanOutResult, ForkFamily, PromoteResult
from memory_core.ids import parse_memory_name, parse_request_id, parse_tag
from memory_core.results import ObserveOptions

router = APIRouter(prefix="/v1/memories/{name}", tags=["checkpoints"])

_CHANGES = documented(400, 404, 409, 413, 422, 429, 500, 503)


@router.post("/forks", status_code=201, responses=_CHANGES)
async def fork_many(name: NameParam, body: FanOutRequest, backend: BackendParam) -> FanOutResult:
    """Many memories from one checkpoint, at once: all of them exist, or none. No tensor bytes are copied."""
    new_name = parse_memory_name(body.name)
    parse_memory_name(fork_names(new_name, body.count)[-1])
    return await backend.fork_many(name, parse_tag(body.tag), new_name, body.count)


@router.get("/forks", responses=documented(404, 422, 503))
async def family(name: NameParam, backend: BackendParam) -> ForkFamily:
    """The forks of a memory, in name order."""
    return await backend.family(name)


@router.post("/forks/observe", responses=_CHANGES)
async def observe_all(
    name: NameParam, body: ObserveRequest, backend: BackendParam, idempotency_key: IdempotencyKey = None
) -> FamilyObserveResult:
    """Let every fork learn the same. When one refuses, a repetition with the same key completes it."""
    observations = body.to_observations()
    check_observations(observations)
    request_id = None if idempotency_key is None else parse_request_id(idempotency_key)
    options = ObserveOptions(request_id=request_id, learning_rate=body.learning_rate)
    return await backend.observe_all(name, observations, options)


@router.post("/forks/compare", responses=_CHANGES)
async def compare(name: NameParam, body: CompareRequest, backend: BackendParam) -> CompareResult:
    """Which fork learned more, by what it recalls of the probes; the best comes first."""
    probes = body.to_probes()
    for position, probe in enumerate(probes):
        check_text(probe.text, f"text of probe {position}")
        if probe.question is not None:
            check_text(probe.question, f"question of probe {position}")
    return await backend.compare(name, probes)


@router.post("/promote", responses=_CHANGES)
async def promote(name: NameParam, body: PromoteRequest, backend: BackendParam) -> PromoteResult:
    """Make this fork's version its parent's state, in one instant. Both keep all their versions."""
    return await backend.promote(name, parse_tag(body.tag))
