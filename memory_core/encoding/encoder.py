"""Text to keys. One Protocol; one file per encoder beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from memory_core.ids import EncoderId
from memory_core.results import EncodedText


class Encoder(Protocol):
    """Deterministic: the same text gives the same keys up to floating-point noise of the batch it is encoded in."""

    @property
    def encoder_id(self) -> EncoderId:
        """Name that is stored with a memory: ``minilm``, ``hash``."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the weights and settings that shape the keys; a memory refuses another fingerprint."""
        ...

    @property
    def key_dim(self) -> int:
        """D, the size of a key."""
        ...

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Cut each text into segments and give each segment a unit-norm float32 key. Loses no text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """What a memory records of its encoder at creation, and compares ever after."""

    encoder_id: EncoderId
    fingerprint: str
    key_dim: int


class EncoderPool(Protocol):
    """Where a backend gets keys from: a thread in this process, or a batched Serve deployment.

    Both methods raise InvalidInput when ``encoder`` is not served here.
    """

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        """The encoder's identity; may load the model."""
        ...

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        """Keys of each text, in order."""
        ...
