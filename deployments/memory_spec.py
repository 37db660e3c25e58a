"""From what a caller asks for to the full settings of a new memory."""

from __future__ import annotations

from typing import Any

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import InvalidInput
from memory_core.ids import EncoderId


async def complete_config(encoders: EncoderPool, default_encoder: EncoderId, chosen: dict[str, Any]) -> MemoryConfig:
    """Fill in what the encoder decides (fingerprint, key size). A given one that differs raises InvalidInput."""
    encoder = EncoderId(chosen.get("encoder") or default_encoder)
    info = await encoders.describe(encoder)
    decided = {"encoder_fingerprint": info.fingerprint, "key_dim": info.key_dim}
    for setting, value in decided.items():
        if chosen.get(setting, value) != value:
            raise InvalidInput(
                f"The {setting} asked for does not fit the encoder {encoder}, as served here.",
                hint=f"Leave {setting} out.",
            )
    return MemoryConfig.from_dict({**chosen, **decided, "encoder": encoder})
