"""A service with keys, conversations and real memories, in this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from deployments.access.authentication import KeyDoor
from deployments.access.authorized_backend import AuthorizedBackend
from deployments.access.key_shelf import KeyShelf
from deployments.chat.transcripts import RamTranscripts, Transcripts
from deployments.conversations import build_chat
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore

SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
ALL = frozenset({"observe", "infer", "admin"})


class ChatHouse:
    """See above; ``settings`` are those of conversations."""

    def __init__(
        self,
        folder: Path,
        transcripts: Transcripts | None = None,
        clock_s: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        store = LocalStore(folder)
        self.shelf = KeyShelf(store)
        self.encoders = LocalEncoderPool()
        self.inner = LocalBackend(store, self.encoders)
        chosen = Settings.model_validate({"encoder": "hash", **settings})
        backend = AuthorizedBackend(self.inner, owner_pid=_own_pid)
        self.chat = build_chat(chosen, backend, self.inner, self.encoders, transcripts or RamTranscripts(), clock_s)
        self.app = build_api(
            Services(
                backend=backend,
                encoders=self.encoders,
                encoder=EncoderId("hash"),
                readiness=Readiness(backend=self.inner, encoders=self.encoders, encoder=EncoderId("hash")),
                max_body_bytes=1024 * 1024,
                owner_pid=backend.owner_pid,
                authenticator=KeyDoor(self.shelf.find),
                chat=self.chat,
            )
        )

    def client(self, tenant: str = "default", scopes: frozenset[Any] = ALL) -> httpx.AsyncClient:
        """A client with a key of its own."""
        key, _ = self.shelf.create(tenant=tenant, scopes=scopes)
        return self.client_of(key)

    def client_of(self, key: str) -> httpx.AsyncClient:
        """A client with this key."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app),
            base_url="http://test",
            headers={"Authorization": f"Bearer {key}"},
        )

    async def close(self) -> None:
        await self.chat.close()
        await self.inner.close()
        self.encoders.close()


async def _own_pid(_: MemoryName) -> int:
    return os.getpid()
