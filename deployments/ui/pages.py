"""Serves the page at ``/ui``. It holds no data: everything on it comes through the API with the visitor's key."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from memory_core.errors import NotFound

PATH: Final = "/ui"
_FOLDER: Final = "web"
_INDEX: Final = "index.html"
_CONFIG: Final = "config.json"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
)


def mount_ui(api: FastAPI, config: Mapping[str, Any], frames: str = "'self'") -> None:
    """Add the page. config: what it is told at its start, for everybody to read; frames: who may frame it."""
    files = dict(_files())
    files[_CONFIG] = json.dumps(config).encode()
    headers = {
        "Content-Security-Policy": _POLICY.format(frames=frames),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def to_page() -> Response:
        return RedirectResponse(PATH, status_code=307)

    @router.get(PATH)
    @router.get(PATH + "/{name}")
    async def page(request: Request, name: str = _INDEX) -> Response:
        if name not in files:
            raise NotFound("The page has no such file.", code="PATH_NOT_FOUND", hint=f"Open {PATH}.")
        return _answer(request, files[name], {**headers, "Content-Type": _kind(name)})

    api.include_router(router)


def _answer(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**headers, "ETag": etag})
    return Response(data, headers={**headers, "ETag": etag})


def _kind(name: str) -> str:
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "application/octet-stream"
    return kind if kind.startswith("image/") else f"{kind}; charset=utf-8"


def _files() -> list[tuple[str, bytes]]:
    folder = resources.files(__package__).joinpath(_FOLDER)
    return [(entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()]
