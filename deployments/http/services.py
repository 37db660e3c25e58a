"""What the routes work with, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from cluster.placement_report import PlacementReport
from deployments.access.authentication import Authenticator, OpenDoor
from deployments.access.authorized_jobs import AuthorizedJobs
from deployments.access.authorized_quarantine import AuthorizedQuarantine
from deployments.access.protected_resource import ProtectedResource
from deployments.access.quarantine import no_quarantine
from deployments.chat.conversation import Chat
from deployments.health import Readiness
from deployments.http.metrics import Metrics
from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import EncoderPool
from memory_core.ids import EncoderId, MemoryName, parse_memory_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """``encoder`` and ``memory_defaults`` are for new memories that name none. ``max_body_bytes`` caps a request body.

    ``owner_pid`` tells which process holds a memory, ``placement`` why there, ``restart`` ends it (None: there is no
    cluster). ``authenticator`` says who calls, ``resource`` what OAuth clients are told. ``deadline_s`` bounds a
    request, ``long_deadline_s`` one that moves or reads a whole memory or volume, ``max_import_bytes`` an uploaded
    archive. ``chat``: conversations, if there are any. ``jobs`` teach corpora (None: there is no cluster).
    """

    backend: MemoryBackend
    encoders: EncoderPool
    encoder: EncoderId
    readiness: Readiness
    max_body_bytes: int
    owner_pid: Callable[[MemoryName], Awaitable[int]]
    deadline_s: float = 120.0
    long_deadline_s: float = 3600.0
    max_import_bytes: int = 1 << 30
    metrics: Metrics = field(default_factory=Metrics)
    authenticator: Authenticator = field(default_factory=OpenDoor)
    resource: ProtectedResource | None = None
    placement: Callable[[MemoryName], Awaitable[PlacementReport]] | None = None
    quarantine: AuthorizedQuarantine | None = None
    memory_defaults: Mapping[str, Any] = field(default_factory=dict)
    restart: Callable[[MemoryName], Awaitable[None]] | None = None
    chat: Chat | None = None
    jobs: AuthorizedJobs | None = None


# Dependencies are coroutines: FastAPI would send plain functions to a thread, each of them.
async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def _backend(request: Request) -> MemoryBackend:
    return (await _services(request)).backend


async def _quarantine(request: Request) -> AuthorizedQuarantine:
    found = (await _services(request)).quarantine
    if found is None:
        raise no_quarantine()
    return found


async def _memory_name(name: str) -> MemoryName:
    return parse_memory_name(name)


ServicesParam = Annotated[Services, Depends(_services)]
BackendParam = Annotated[MemoryBackend, Depends(_backend)]
QuarantineParam = Annotated[AuthorizedQuarantine, Depends(_quarantine)]
NameParam = Annotated[MemoryName, Depends(_memory_name)]
