"""The page over real memories in this process, on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from deployments.access.authentication import KeyDoor, OpenDoor
from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.key_shelf import KeyShelf
from deployments.chat.transcripts import RamTranscripts
from deployments.conversations import build_chat
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.page import mount_page
from deployments.ports import free_port
from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.open_store import open_store

SMALL = {"units": 512, "rows": 1024, "heads": 4, "active_rows": 16}


@contextlib.contextmanager
def running_page(folder: Path, **chosen: Any) -> Iterator[str]:
    """Serve until the block ends; gives the URL. ``auth="keys"`` asks for keys of the volume in ``folder``."""
    port = free_port()
    settings = Settings.model_validate(
        {"memory_storage_path": str(folder), "encoder": "hash", "auth": "open", **chosen}
    )
    server = uvicorn.Server(uvicorn.Config(lambda: _app(settings), factory=True, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/ready", trust_env=False).status_code == 200:
                break
        time.sleep(0.05)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(60)


def _app(settings: Settings) -> FastAPI:
    encoders, encoder = LocalEncoderPool(), EncoderId(settings.encoder)
    store = open_store(settings.storage_url)
    inner = LocalBackend(store, encoders)

    async def own_pid(name: MemoryName) -> int:
        await inner.stats(name)
        return os.getpid()

    async def restart(name: MemoryName) -> None:
        await asyncio.sleep(0)
        await inner.stats(name)

    backend = AuthorizedBackend(inner, owner_pid=own_pid, restart=restart)
    api = build_api(
        Services(
            backend=backend,
            encoders=encoders,
            encoder=encoder,
            readiness=Readiness(backend=inner, encoders=encoders, encoder=encoder, timeout_s=30.0),
            max_body_bytes=settings.max_body_bytes,
            owner_pid=backend.owner_pid,
            authenticator=KeyDoor(KeyShelf(store).find) if settings.needs_keys else OpenDoor(),
            restart=backend.restart,
            memory_defaults=SMALL,
            chat=build_chat(settings, backend, inner, encoders, RamTranscripts()),
        )
    )
    mount_page(api, settings)
    return api
