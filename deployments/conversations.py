"""The composition root of conversations: which model, where transcripts are kept, and how large sessions are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pydantic import SecretStr

from deployments.access.api_keys import split_key
from deployments.chat.conversation import Chat
from deployments.chat.gateway import open_gateway
from deployments.chat.sessions import SETTINGS, Sessions
from deployments.chat.transcripts import Transcripts
from deployments.memory_spec import complete_config
from deployments.settings import Settings
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderPool
from memory_core.ids import EncoderId


def build_chat(
    settings: Settings,
    backend: MemoryBackend,
    inner: MemoryBackend,
    encoders: EncoderPool,
    transcripts: Transcripts,
    clock_s: Callable[[], float] = time.time,
) -> Chat:
    """Conversations over ``backend``, which knows the caller; ``inner`` is the same by stored names.

    ``transcripts``: where they are kept, unless the settings name a Redis.
    """
    if settings.redis_url:
        from deployments.chat.redis_transcripts import RedisTranscripts

        transcripts = RedisTranscripts(settings.redis_url.get_secret_value())

    async def session_config() -> MemoryConfig:
        return await complete_config(encoders, EncoderId(settings.encoder), dict(SETTINGS))

    sessions = Sessions(
        inner,
        transcripts,
        session_config,
        ttl_s=settings.session_ttl_s,
        clock_s=clock_s,
        visitor_keys=frozenset(_key_ids(settings.page_key, settings.page_chat_key)),
    )
    return Chat(backend, inner, sessions, open_gateway(settings), settings.chat_surprise_gate)


def _key_ids(*keys: SecretStr | None) -> Iterator[str]:
    for key in keys:
        parts = None if key is None else split_key(key.get_secret_value())
        if parts is not None:
            yield parts[0]
