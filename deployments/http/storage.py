"""Routes that move, check and clean what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from deployments.http.failures import documented
from deployments.http.services import BackendParam, NameParam
from memory_core.errors import Unavailable
from memory_core.ids import parse_memory_name, parse_tag
from memory_core.storage_results import ExportFormat, ImportResult

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
