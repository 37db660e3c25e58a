"""Routes that change what a memory is made of: forget a subject, move to another encoder."""

from __future__ import annotations

from fastapi import APIRouter

from deployments.http.failures import documented
from deployments.http.schemas import ForgetRequest, ReencodeRequest
from deployments.http.services import BackendParam, NameParam
from deployments.http.versions import OnlyIfParam
from deployments.text_rules import check_label, check_metadata, check_text
from memory_core.ids import EncoderId, parse_memory_name
from memory_core.results import ForgetReceipt, ReencodeResult

router = APIRouter(prefix="/v1/memories/{name}", tags=["upkeep"])

_CHANGES = documented(400, 404, 409, 413, 422, 429, 500, 503)


@router.post("/forget", responses=documented(404, 409, 412))
async def forget(name: NameParam, body: ForgetRequest, backend: BackendParam, only_if: OnlyIfParam) -> ForgetReceipt:
    """Leave a subject out, in what is known and in every file but published versions. This cannot be undone."""
    if body.subject is not None:
        check_text(body.subject, "subject")
    check_label(body.occurred_from, "occurred_from")
    check_label(body.occurred_to, "occurred_to")
    check_metadata(body.metadata, "metadata")
    return await backend.forget(name, body.to_selection(), is_dry_run=body.dry_run, only_if=only_if)


@router.post("/re-encode", status_code=201, responses=_CHANGES)
async def re_encode(name: NameParam, body: ReencodeRequest, backend: BackendParam) -> ReencodeResult:
    """A new memory that learns this one's exemplars through another encoder."""
    check_label(body.encoder, "encoder")
    return await backend.re_encode(name, EncoderId(body.encoder), parse_memory_name(body.new_name))
