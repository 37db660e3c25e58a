"""A memory small enough for thousands of tests, and observations to fill it, without a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from memory_core.config import MemoryConfig
from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.ids import EncoderId
from memory_core.results import EncodedObservation, EncodedText, Observation

TINY_KEY_DIM: Final = 16


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


def tiny_config(**changes: Any) -> MemoryConfig:
    """Settings of a memory of a few kilobytes, for keys of ``tiny_observations`` only."""
    config = MemoryConfig(
        encoder=EncoderId("tiny"),
        encoder_fingerprint="tiny",
        key_dim=TINY_KEY_DIM,
        units=64,
        rows=64,
        heads=4,
        active_rows=8,
    )
    return config.with_changes(**changes)


def tiny_text(text: str) -> EncodedText:
    """A text as one segment with a key drawn from its hash: equal texts have equal keys, others are far apart."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[: 2 * TINY_KEY_DIM]
    key_D = np.frombuffer(digest, dtype="<u2").astype(np.float32) - 32_767.5
    return EncodedText(text=text, spans=((0, len(text)),), keys_SD=(key_D / np.linalg.norm(key_D))[None])


def tiny_observations(*texts: str, **fields: Any) -> list[EncodedObservation]:
    """Observations of texts, all with the same further fields, without an encoder."""
    return [EncodedObservation(observation=Observation(text=text, **fields), encoded=tiny_text(text)) for text in texts]


def encode_texts(texts: Sequence[str]) -> list[EncodedText]:
    """Keys of texts by the ``hash`` encoder."""
    return hash_encoder().encode(texts)


def encode_observations(*texts: str, **fields: Any) -> list[EncodedObservation]:
    """Observations of texts, all with the same further fields."""
    return [
        EncodedObservation(observation=Observation(text=text, **fields), encoded=encoded)
        for text, encoded in zip(texts, encode_texts(texts), strict=True)
    ]
