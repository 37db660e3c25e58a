"""Routes that learn and answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from deployments.http.answers import SurpriseAnswer
from deployments.http.event_stream import EVENT_STREAM, streamed
from deployments.http.failures import documented
from deployments.http.schemas import ConsolidateRequest, InferRequest, ObserveRequest, SurpriseRequest
from deployments.http.services import BackendParam, NameParam
from deployments.text_rules import check_batch_size, check_label, check_metadata, check_observations, check_text
from memory_core.ids import parse_request_id
from memory_core.progress import OnProgress
from memory_core.results import ConsolidateResult, InferResult, ObserveOptions, ObserveResult

router = APIRouter(prefix="/v1/memories/{name}", tags=["learning"])

IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="A repeated request with the same key returns its first answer."),
]
AcceptHeader = Annotated[str, Header(description="`text/event-stream` for progress, else one JSON object.")]
_WRITES = documented(400, 404, 409, 413, 422, 429, 500, 503)
_READS = documented(400, 404, 413, 422, 429, 500, 503)


@router.post("/observe", responses=_WRITES)
async def observe(
    name: NameParam, body: ObserveRequest, backend: BackendParam, idempotency_key: IdempotencyKey = None
) -> ObserveResult:
    """Learn one text or a list of them. Answered once the observations are durable."""
    observations = body.to_observations()
    check_observations(observations)
    request_id = None if idempotency_key is None else parse_request_id(idempotency_key)
    options = ObserveOptions(request_id=request_id, learning_rate=body.learning_rate)
    return await backend.observe(name, observations, options)


@router.post("/infer", responses=_READS)
async def infer(name: NameParam, body: InferRequest, backend: BackendParam) -> InferResult:
    """Answer from what was learned; changes nothing."""
    check_text(body.prompt, "prompt")
    check_label(body.domain, "domain")
    check_label(body.occurred_from, "occurred_from")
    check_label(body.occurred_to, "occurred_to")
    check_metadata(body.metadata, "metadata filter")
    return await backend.infer(name, body.prompt, body.to_options())


@router.post("/surprise", responses=_READS)
async def surprise(name: NameParam, body: SurpriseRequest, backend: BackendParam) -> SurpriseAnswer:
    """How new each text is to this memory, from 0 to 1; changes nothing."""
    texts = body.to_texts()
    check_batch_size(len(texts), "texts")
    check_label(body.domain, "domain")
    for position, text in enumerate(texts):
        check_text(text, f"text {position}" if len(texts) > 1 else "text")
    return SurpriseAnswer(results=await backend.surprise(name, texts, domain=body.domain))


@router.post("/consolidate", responses=_WRITES, response_model=ConsolidateResult)
async def consolidate(
    name: NameParam,
    backend: BackendParam,
    request: Request,
    body: ConsolidateRequest | None = None,
    accept: AcceptHeader = "",
) -> ConsolidateResult | Response:
    """Merge near-duplicate patterns and rehearse; all of it happens or none.

    With `Accept: text/event-stream` the answer is a stream of `progress` events `{fraction, phase}` and one last
    `result` or `error`; a client that goes away cancels the work.
    """
    asked = body or ConsolidateRequest()

    async def work(on_progress: OnProgress | None = None) -> ConsolidateResult:
        return await backend.consolidate(name, steps=asked.steps, ewc_lambda=asked.ewc_lambda, on_progress=on_progress)

    if EVENT_STREAM in accept:
        return await streamed(work, str(getattr(request.state, "request_id", "")))
    return await work()
