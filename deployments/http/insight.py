"""Routes that look into a memory: what it stands for, attends to and expects, and how it differs from another."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from deployments.http.failures import documented
from deployments.http.schemas import AttentionRequest, MergeRequest, PredictRequest
from deployments.http.services import BackendParam, NameParam
from deployments.text_rules import check_label, check_text
from memory_core.ids import Tag, parse_memory_name, parse_tag
from memory_core.insight_results import (
    Activity,
    AttentionMap,
    DiffResult,
    ExplainResult,
    MergeResult,
    PatternMap,
    PredictResult,
)

router = APIRouter(prefix="/v1/memories/{name}", tags=["insight"])

TopKParam = Annotated[int, Query(ge=1, le=1000, description="Patterns to explain, strongest first.")]
PointsParam = Annotated[int, Query(ge=1, le=1000, description="Patterns to place, strongest first.")]
EventsParam = Annotated[int, Query(ge=1, le=1000, description="Events, the newest ones.")]
DomainParam = Annotated[str | None, Query(description="Only patterns with an exemplar of this domain.")]
OtherParam = Annotated[str | None, Query(description="The other memory; this one if left out.")]
TagParam = Annotated[str | None, Query(description="A version of this memory; without it, as it is now.")]
OtherTagParam = Annotated[str | None, Query(description="A version of the other memory; else its newest checkpoint.")]
EntriesParam = Annotated[int, Query(ge=0, le=1000, description="Entries of each list.")]
_READS = documented(400, 404, 413, 422, 429, 500, 503)


@router.get("/explain", responses=documented(404, 422, 429, 500, 503))
async def explain(
    name: NameParam, backend: BackendParam, top_k: TopKParam = 10, domain: DomainParam = None
) -> ExplainResult:
    """What the strongest patterns stand for: their words, their most typical text, and when they were learned."""
    check_label(domain, "domain")
    return await backend.explain(name, top_k=top_k, domain=domain)


@router.get("/pattern-map", responses=documented(404, 422, 429, 500, 503))
async def pattern_map(name: NameParam, backend: BackendParam, limit: PointsParam = 300) -> PatternMap:
    """The strongest patterns in two dimensions (principal axes), with texts they were learned from."""
    return await backend.pattern_map(name, limit=limit)


@router.get("/activity", responses=documented(404, 422, 429, 500, 503))
async def activity(name: NameParam, backend: BackendParam, limit: EventsParam = 200) -> Activity:
    """What the memory learned last, oldest first: surprise and weight change of each observation, and the rate."""
    return await backend.activity(name, limit=limit)


@router.post("/attention", responses=_READS)
async def attention(name: NameParam, body: AttentionRequest, backend: BackendParam) -> AttentionMap:
    """Which words of a query lead to which patterns; changes nothing."""
    check_text(body.query, "query")
    return await backend.attention_map(name, body.query, top_k=body.top_k)


@router.post("/predict-next", responses=_READS)
async def predict_next(name: NameParam, body: PredictRequest, backend: BackendParam) -> PredictResult:
    """What is expected after a text, or after the last turn of a session; changes nothing."""
    if body.text is not None:
        check_text(body.text, "text")
    check_label(body.session, "session")
    return await backend.predict_next(name, text=body.text, session=body.session, top_k=body.top_k)


@router.get("/diff", responses=documented(404, 409, 422, 429, 500, 503))
async def diff(
    name: NameParam,
    backend: BackendParam,
    other: OtherParam = None,
    tag: TagParam = None,
    other_tag: OtherTagParam = None,
    limit: EntriesParam = 20,
) -> DiffResult:
    """How a memory differs from another, or from a version of itself: patterns, texts, and how far recall moved."""
    there = name if other is None else parse_memory_name(other)
    return await backend.diff(name, there, tag=_tag(tag), other_tag=_tag(other_tag), limit=limit)


@router.post("/merge", responses=documented(400, 404, 409, 413, 422, 429, 500, 503))
async def merge(name: NameParam, body: MergeRequest, backend: BackendParam) -> MergeResult:
    """Learn what a checkpoint of another memory knows and this one does not. Repeating it learns nothing twice."""
    return await backend.merge(name, parse_memory_name(body.other), tag=_tag(body.tag))


def _tag(raw: str | None) -> Tag | None:
    return None if raw is None else parse_tag(raw)
