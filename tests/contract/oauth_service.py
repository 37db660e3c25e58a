"""Both doors over memories in this process, for callers with tokens of an issuer."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.doors import authenticator_of, resource_of
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.mcp_door import mount_mcp
from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore

HASH = EncoderId("hash")


def build_oauth_service(settings: Settings, folder: Path, encoders: LocalEncoderPool) -> tuple[FastAPI, LocalBackend]:
    """The application, and the memories behind it, which the caller closes."""
    store = LocalStore(folder)
    inner = LocalBackend(store, encoders)
    backend = AuthorizedBackend(inner)
    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=HASH,
        readiness=Readiness(backend=inner, encoders=encoders, encoder=HASH),
        max_body_bytes=1 << 20,
        owner_pid=backend.owner_pid,
        authenticator=authenticator_of(settings, store),
        resource=resource_of(settings),
    )
    api = build_api(services)
    mount_mcp(api, settings, backend, encoders)
    return api, inner
