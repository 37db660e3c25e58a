"""The FastAPI application over a MemoryBackend. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from deployments.http import checkpoints, insight, learning, memories, probes, upkeep
from deployments.http.envelope import Envelope
from deployments.http.failures import install_error_answers
from deployments.http.services import Services


def build_api(services: Services) -> FastAPI:
    """The HTTP application; closes the backend when the server stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
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
    for door in (probes, memories, learning, insight, checkpoints, upkeep):
        app.include_router(door.router)
    install_error_answers(app)
    app.add_middleware(Envelope, max_body_bytes=services.max_body_bytes)
    return app
