"""Whether the service can do its work: storage answers and the default encoder is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import InvalidInput, NeuralMemoryError
from memory_core.ids import EncoderId

_PROBE: Final = "ready"  # encoded for real: an identity can be remembered after its model died


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Asks the parts the service cannot work without; each has ``timeout_s`` seconds to answer.

    ``key_dim``: the size of keys that the operator counts on, None for any.
    """

    backend: MemoryBackend
    encoders: EncoderPool
    encoder: EncoderId
    key_dim: int | None = None
    timeout_s: float = 2.0

    async def reasons(self) -> tuple[str, ...]:
        """Why the service is not ready, one sentence per part; empty when it is."""
        found = await asyncio.gather(
            self._reason("storage", self.backend.list_memories(limit=1)),
            self._reason(f"encoder {self.encoder}", self._encode()),
        )
        return tuple(reason for reason in found if reason)

    async def _encode(self) -> None:
        await self.encoders.encode(self.encoder, [_PROBE])
        found = (await self.encoders.describe(self.encoder)).key_dim
        if self.key_dim not in {None, found}:
            raise InvalidInput(f"its keys have {found} numbers, and EMBEDDING_DIM is {self.key_dim}.")

    async def _reason(self, part: str, answer: Awaitable[object]) -> str | None:
        try:
            await asyncio.wait_for(answer, self.timeout_s)
        except TimeoutError:
            return f"The {part} did not answer within {self.timeout_s:g} s."
        except NeuralMemoryError as error:
            return f"The {part} is not ready: {error.message}"
        return None
