"""The FastAPI application over a MemoryBackend. Knows nothing of Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from deployments.access.authentication import Authentication
from deployments.chat.conversation import Chat
from deployments.http import (
    chat,
    checkpoints,
    discovery,
    encoding,
    family,
    insight,
    jobs,
    learning,
    memories,
    probes,
    quarantine,
    storage,
    streams,
    upkeep,
)
from deployments.http.bodies import Bodies
from deployments.http.envelope import Envelope
from deployments.http.failures import install_error_answers
from deployments.http.metrics import Measured
from deployments.http.packing import Packed
from deployments.http.services import Services
from deployments.http.traced import Traced

_SWEEP_PERIOD_S: Final = 30.0
# For the document only: the layer around the application has asked already.
_CREDENTIALS: Final = [
    Security(HTTPBearer(scheme_name="bearer", auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", scheme_name="header", auto_error=False)),
]


def build_api(services: Services) -> FastAPI:
    """The HTTP application; closes the backend when the server stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _conversations(services.chat):
            yield
        await services.backend.close()

    app = FastAPI(
        title="Neural Memory",
        summary="A memory that learns, as a service.",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.services = services
    # Routes are tried in this order, each for some microseconds: first what is asked most.
    doors = (
        learning,
        storage,
        memories,
        streams,
        insight,
        checkpoints,
        family,
        quarantine,
        upkeep,
        chat,
        encoding,
        jobs,
    )
    for door in doors:
        app.include_router(door.router, dependencies=_CREDENTIALS)
    app.include_router(probes.router)
    app.include_router(discovery.router)
    install_error_answers(app)
    # The last one added is the outermost.
    app.add_middleware(Packed)
    uploads = {storage.IMPORT_PATH: services.max_import_bytes}
    app.add_middleware(Bodies, max_body_bytes=services.max_body_bytes, uploads=uploads)
    app.add_middleware(Authentication, authenticator=services.authenticator, resource=services.resource)
    app.add_middleware(Traced)
    app.add_middleware(Envelope, deadline_s=services.deadline_s, long_deadline_s=services.long_deadline_s)
    app.add_middleware(Measured, metrics=services.metrics)
    return app


@asynccontextmanager
async def _conversations(chat: Chat | None) -> AsyncIterator[None]:
    """Sweeps sessions that are over, until the block ends."""
    if chat is None:
        yield
        return
    sweeper = asyncio.create_task(chat.sessions.sweep_forever(_SWEEP_PERIOD_S))
    try:
        yield
    finally:
        sweeper.cancel()
        await chat.close()
