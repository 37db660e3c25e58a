"""From what a caller asks for to the full settings of a new memory."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import InvalidInput, TooLarge
from memory_core.ids import EncoderId

STATE_BYTES_MAX: Final = 2 << 30
_NUMBER_BYTES: Final = 4


async def complete_config(
    encoders: EncoderPool,
    default_encoder: EncoderId,
    chosen: dict[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> MemoryConfig:
    """Fill in the operator's defaults and what the encoder decides (fingerprint, key size).

    InvalidInput when one is asked for that the encoder does not have, TooLarge for a memory that would take the whole
    machine.
    """
    chosen = {**defaults, **chosen, "placement": {**defaults.get("placement", {}), **(chosen.get("placement") or {})}}
    encoder = EncoderId(chosen.get("encoder") or default_encoder)
    info = await encoders.describe(encoder)
    decided = {"encoder_fingerprint": info.fingerprint, "key_dim": info.key_dim}
    for setting, value in decided.items():
        if chosen.get(setting, value) != value:
            raise InvalidInput(
                f"The {setting} asked for does not fit the encoder {encoder}, as served here.",
                hint=f"Leave {setting} out.",
            )
    config = MemoryConfig.from_dict({**chosen, **decided, "encoder": encoder})
    size_bytes = _NUMBER_BYTES * config.key_dim * (config.rows + config.units)
    if size_bytes > STATE_BYTES_MAX:
        raise TooLarge(
            f"This memory would take about {size_bytes} bytes; at most {STATE_BYTES_MAX} are allowed.",
            hint="Choose fewer units or rows.",
        )
    return config
