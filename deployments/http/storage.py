"""Routes that move, check and clean what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from deployments.http.failures import documented
from deployments.http.schemas import CollectRequest, PruneRequest, RetentionBody
from deployments.http.services import BackendParam, NameParam
from memory_core.errors import Unavailable
from memory_core.ids import parse_memory_name, parse_tag
from memory_core.storage_results import (
    CollectResult,
    ExportFormat,
    ImportResult,
    PruneResult,
    RetentionPolicy,
    VerifyReport,
)

IMPORT_PATH: Final = "/v1/memories/import"

router = APIRouter(tags=["storage"])

TagParam = Annotated[str | None, Query(max_length=128, description="A checkpoint; the memory as it is now if absent.")]
FormatParam = Annotated[
    ExportFormat, Query(alias="format", description="`nmem` can be imported, `jsonl` is for people.")
]
NewNameParam = Annotated[str, Query(alias="name", max_length=512, description="The name of the new memory.")]
_MEDIA: Final = {"nmem": "application/x-tar", "jsonl": "application/x-ndjson"}


@router.post(
    IMPORT_PATH,
    status_code=201,
    responses=documented(404, 409, 413, 422, 503),
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
)
async def import_memory(request: Request, new_name: NewNameParam, backend: BackendParam) -> ImportResult:
    """A new memory from a `.nmem` file, sent as the raw body. It exists when all of it was checked, or not at all."""
    return await backend.import_memory(parse_memory_name(new_name), _body(request))


@router.post("/v1/memories/{name}/verify", responses=documented(403, 404, 422, 503))
async def verify_memory(name: NameParam, backend: BackendParam) -> VerifyReport:
    """Read every document, blob and journal frame of a memory again. Changes nothing."""
    return await backend.verify(name)


@router.post("/v1/volume/verify", responses=documented(403, 503))
async def verify_volume(backend: BackendParam) -> VerifyReport:
    """Read again what belongs to no single memory: names, and blobs that nothing reaches. Changes nothing."""
    return await backend.verify()


@router.post("/v1/volume/gc", responses=documented(400, 403, 422, 500, 503))
async def collect_garbage(body: CollectRequest, backend: BackendParam) -> CollectResult:
    """Delete what nothing on the volume reaches."""
    return await backend.collect_garbage(grace_s=body.grace_s, is_dry_run=body.dry_run)


@router.delete("/v1/memories/{name}/checkpoints/{tag}", status_code=204, responses=documented(403, 404, 422, 503))
async def delete_checkpoint(name: NameParam, tag: str, backend: BackendParam) -> None:
    """Unpublish a version. Memories made from it stay. This cannot be undone."""
    await backend.delete_checkpoint(name, parse_tag(tag))


@router.get("/v1/memories/{name}/retention", responses=documented(403, 404, 422, 503))
async def retention(name: NameParam, backend: BackendParam) -> RetentionPolicy:
    """Which checkpoints `prune` keeps."""
    return await backend.retention(name)


@router.put("/v1/memories/{name}/retention", responses=documented(400, 403, 404, 422, 503))
async def set_retention(name: NameParam, body: RetentionBody, backend: BackendParam) -> RetentionPolicy:
    """Replace the rules by which `prune` works. Deletes nothing."""
    return await backend.set_retention(name, body.to_policy())


@router.post("/v1/memories/{name}/prune", responses=documented(400, 403, 404, 422, 500, 503))
async def prune(name: NameParam, body: PruneRequest, backend: BackendParam) -> PruneResult:
    """Unpublish the versions that no rule keeps. This cannot be undone."""
    policy = None if body.policy is None else body.policy.to_policy()
    return await backend.prune(name, policy=policy, is_dry_run=body.dry_run)


@router.get(
    "/v1/memories/{name}/export",
    response_class=StreamingResponse,
    responses={**documented(404, 422, 500, 503), 200: {"content": {media: {} for media in _MEDIA.values()}}},
)
async def export_memory(
    name: NameParam, backend: BackendParam, tag: TagParam = None, form: FormatParam = "nmem"
) -> StreamingResponse:
    """A checkpoint, or the memory as it is now, as one file."""
    export = await backend.export(name, tag=None if tag is None else parse_tag(tag), form=form)
    # Named, so that nothing packs on the way what does not get smaller.
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Content-Encoding": "identity"}
    if export.size_bytes is not None:
        headers["Content-Length"] = str(export.size_bytes)
    return StreamingResponse(export.chunks, media_type=_MEDIA[form], headers=headers)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise Unavailable("The upload was broken off.", hint="Send the archive again.") from None
