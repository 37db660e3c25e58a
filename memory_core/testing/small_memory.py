"""A memory small enough for thousands of tests, and observations to fill it, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from memory_core.config import MemoryConfig
from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.results import EncodedObservation, EncodedText, Observation


@lru_cache(maxsize=1)
def hash_encoder() -> HashEncoder:
    """The one encoder of these tests."""
    return HashEncoder()


def small_config(**changes: Any) -> MemoryConfig:
    """Settings of a memory of 64 patterns and 256 rows, made with the ``hash`` encoder."""
    encoder = hash_encoder()
    config = MemoryConfig(
        encoder=encoder.encoder_id,
        encoder_fingerprint=encoder.fingerprint,
        key_dim=encoder.key_dim,
        units=64,
        rows=256,
        heads=4,
        active_rows=16,
    )
    return config.with_changes(**changes)


def encode_texts(texts: Sequence[str]) -> list[EncodedText]:
    """Keys of texts by the ``hash`` encoder."""
    return hash_encoder().encode(texts)


def encode_observations(*texts: str, **fields: Any) -> list[EncodedObservation]:
    """Observations of texts, all with the same further fields."""
    return [
        EncodedObservation(observation=Observation(text=text, **fields), encoded=encoded)
        for text, encoded in zip(texts, encode_texts(texts), strict=True)
    ]
