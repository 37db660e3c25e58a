"""A service to break: both doors over a volume of its own, in this process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import requests
import uvicorn
from fastapi import FastAPI

from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.authorized_quarantine import AuthorizedQuarantine
from deployments.access.quarantine import Quarantine
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.mcp_door import mount_mcp
from deployments.ports import free_port
from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import Unavailable
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend

MEMORY: Final = "default"
SMALL: Final = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
_START_TIMEOUT_S: Final = 60.0


@contextlib.contextmanager
def running_target(folder: Path) -> Iterator[str]:
    """Serve over loopback until the block ends; gives the URL. MEMORY is there and knows a sentence."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(lambda: build_target(folder), factory=True, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(url)
        prepare_service(url)
        yield url
    finally:
        server.should_exit = True
        thread.join(timeout=_START_TIMEOUT_S)


def prepare_service(url: str) -> None:
    """As ``prepare``, over a connection of its own."""
    with requests.Session() as session:
        prepare(url, session)


def prepare(url: str, session: requests.Session) -> None:
    """Make MEMORY, unless it is there, with a sentence and a checkpoint."""
    memory = f"{url}/v1/memories/{MEMORY}"
    session.post(f"{url}/v1/memories", json={"name": MEMORY, **SMALL}, timeout=_START_TIMEOUT_S)
    session.post(f"{memory}/observe", json={"text": "Glass is made of sand."}, timeout=_START_TIMEOUT_S)
    session.post(f"{memory}/checkpoints", json={"tag": "v1"}, timeout=_START_TIMEOUT_S)


def build_target(folder: Path) -> FastAPI:
    """The application of the ingress, over a volume in ``folder`` and memories in this process."""
    settings = Settings(memory_storage_path=str(folder), encoder="hash")
    encoders, encoder = LocalEncoderPool(), EncoderId("hash")
    inner = LocalBackend(settings.storage_url, encoders)

    async def own_pid(name: MemoryName) -> int:
        await inner.stats(name)
        return os.getpid()

    quarantine = Quarantine(inner, encoders)
    backend = AuthorizedBackend(inner, owner_pid=own_pid, quarantine=quarantine)
    api = build_api(
        Services(
            backend=backend,
            encoders=encoders,
            encoder=encoder,
            readiness=Readiness(backend=inner, encoders=encoders, encoder=encoder),
            max_body_bytes=settings.max_body_bytes,
            owner_pid=backend.owner_pid,
            quarantine=AuthorizedQuarantine(quarantine),
        )
    )
    mount_mcp(api, settings, backend, encoders)
    return api


def _wait_ready(url: str) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise Unavailable("The target of the fuzz did not start.", hint="Try again when the machine is less busy.")
