"""From what a caller asks for to the full settings and terms of a new memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import InvalidInput, TooLarge
from memory_core.ids import EncoderId
from memory_core.terms import KINDS, MemoryKind, MemoryTerms

STATE_BYTES_MAX: Final = 2 << 30
_NUMBER_BYTES: Final = 4
_TERMS: Final = frozenset({"class", "description", "read_only", "ttl_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryClass:
    """What memories of a class start from, where nothing else is asked for."""

    settings: dict[str, Any]
    is_read_only: bool = False
    ttl_s: float | None = None


CLASSES: Final[dict[MemoryKind, MemoryClass]] = {
    # Small, and takes a full step on whatever is new to it.
    "session": MemoryClass(settings={"units": 4096, "rows": 4096, "learning_rate": 1.0}, ttl_s=86_400.0),
    "project": MemoryClass(settings={}),
    # Large, gives up no pattern, and learns only while somebody has made it writable.
    "expert": MemoryClass(settings={"units": 65536, "saturation": "refuse"}, is_read_only=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySpec:
    """All that a new memory is made with."""

    config: MemoryConfig
    terms: MemoryTerms


async def complete_spec(
    encoders: EncoderPool,
    default_encoder: EncoderId,
    chosen: dict[str, Any],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> MemorySpec:
    """Fill in what the class and the encoder decide; raises what ``complete_config`` and ``MemoryTerms`` raise.

    ``chosen``: settings of MemoryConfig, and ``class``, ``description``, ``read_only``, ``ttl_s`` (0: for ever).
    """
    kind = chosen.get("class", "project")
    if kind not in KINDS:
        raise InvalidInput(f"Unknown class {ascii(kind)[:64]}.", hint=f"Use one of {', '.join(KINDS)}.")
    start = CLASSES[kind]
    ttl_s = chosen.get("ttl_s", start.ttl_s)
    terms = MemoryTerms(
        kind=kind,
        description=chosen.get("description", ""),
        is_read_only=chosen.get("read_only", start.is_read_only),
        ttl_s=None if ttl_s == 0 else ttl_s,
    )
    asked = {name: value for name, value in chosen.items() if name not in _TERMS}
    config = await complete_config(encoders, default_encoder, {**start.settings, **asked}, defaults)
    return MemorySpec(config=config, terms=terms)


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
