"""The composition root of ``--local``: the volume in this process, without a service."""

from __future__ import annotations

from typing import Any

from deployments.memory_spec import complete_spec
from deployments.settings import Settings
from memory_core.durability import Durability
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.results import MemoryInfo
from memory_core.writer import WriterSettings


class LocalConnection(LocalBackend):
    """A LocalBackend that completes the settings of a new memory and owns its encoders."""

    def __init__(self, settings: Settings) -> None:
        """Open the volume and prepare the encoders of ``settings``."""
        self._pool = LocalEncoderPool()
        self._default_encoder = EncoderId(settings.encoder)
        self._defaults = settings.memory_defaults
        self._trusted_signers = settings.signers
        super().__init__(
            settings.storage_url,
            self._pool,
            WriterSettings(durability=Durability.parse(settings.memory_durability), rhythm=settings.rhythm),
        )

    async def create_chosen(self, name: MemoryName, chosen: dict[str, Any]) -> MemoryInfo:
        """Create with some settings chosen and the rest decided by the encoder."""
        spec = await complete_spec(self._pool, self._default_encoder, chosen, self._defaults)
        return await self.create(name, spec.config, spec.terms)

    async def close(self) -> None:
        """See MemoryBackend."""
        await super().close()
        self._pool.close()


def open_local(settings: Settings) -> LocalConnection:
    """The volume of the settings, opened in this process."""
    return LocalConnection(settings)
