"""Where a text is encoded: by the encoder deployment, or right here when its encoder costs less than the way there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memory_core.encoding.encoder import Encoder, EncoderInfo, EncoderPool
from memory_core.encoding.registry import open_encoder
from memory_core.ids import EncoderId
from memory_core.results import EncodedText

_WITHOUT_MODEL: Final = frozenset({"hash"})
# About 0.2 ms a text of a sentence: more than this would hold up the other requests of the process.
_CHARACTERS_HERE_MAX: Final = 4096


class NearEncoders:
    """An EncoderPool in front of another one. Encodes short texts of encoders without a model at once."""

    def __init__(self, behind: EncoderPool) -> None:
        self._behind = behind
        self._here: dict[EncoderId, Encoder] = {}

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        """See EncoderPool. The deployment says it: both must be the same version."""
        return await self._behind.describe(encoder)

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        """See EncoderPool."""
        if encoder not in _WITHOUT_MODEL or sum(map(len, texts)) > _CHARACTERS_HERE_MAX:
            return await self._behind.encode(encoder, texts)
        return self._open(encoder).encode(texts)

    def _open(self, encoder: EncoderId) -> Encoder:
        if encoder not in self._here:
            self._here[encoder] = open_encoder(encoder)
        return self._here[encoder]
