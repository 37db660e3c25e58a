"""What rows of any dataset do with a memory: teach it, or be measured against it. Ray-free; runs in Ray's workers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from cluster.ray_backend import ClusterSettings, RayBackend
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, RequestId
from memory_core.jobs.plan import REQUEST_ITEMS
from memory_core.results import Observation, ObserveOptions

if TYPE_CHECKING:
    from memory_core.encoding.registry import LocalEncoderPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What one write taught."""

    observations: int
    surprise_sum: float


@dataclass(frozen=True)
class MemoryTarget:
    """A memory on a volume, and where in a row its text and session are."""

    storage_url: str
    settings: ClusterSettings
    memory: MemoryName
    text: str = "text"
    session: str | None = None
    domain: str | None = None

    def __getstate__(self) -> dict[str, object]:
        """What travels: not the encoder that this process loaded."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    @cached_property
    def _encoders(self) -> LocalEncoderPool:
        from memory_core.encoding.registry import LocalEncoderPool

        return LocalEncoderPool()

    def teach(self, blocks: Iterable[pa.Table], task: str) -> Taught:
        """Learn the rows of blocks, each request once however often the task ``task`` is repeated."""

        async def taught() -> Taught:
            backend = RayBackend(self.storage_url, self._encoders, self.settings)
            count, surprise_sum = 0, 0.0
            for observations in self._requests(blocks):
                digest = hashlib.sha256(repr(observations).encode("utf-8", "surrogatepass")).hexdigest()[:16]
                options = ObserveOptions(request_id=RequestId(f"sink:{task}:{count}:{digest}"))
                result = await backend.observe(self.memory, observations, options)
                count += len(observations)
                surprise_sum += sum(outcome.surprise for outcome in result.outcomes)
            return Taught(observations=count, surprise_sum=surprise_sum)

        return asyncio.run(taught())

    def surprises(self, texts: Sequence[str]) -> list[float]:
        """How new each text is; nothing is learned."""

        async def measured() -> list[float]:
            backend = RayBackend(self.storage_url, self._encoders, self.settings)
            return [result.score for result in await backend.surprise(self.memory, texts)]

        return asyncio.run(measured())

    def column(self, table: pa.Table, name: str) -> list[str | None]:
        """A column; InvalidInput (FIELD_MISSING) when the dataset has none of the name."""
        if name not in table.column_names:
            raise InvalidInput(
                f"The dataset has no column {ascii(name)}.",
                code="FIELD_MISSING",
                hint=f"Name one of its columns: {', '.join(map(ascii, table.column_names[:20]))}.",
            )
        values: list[str | None] = table[name].to_pylist()
        return values

    def _requests(self, blocks: Iterable[pa.Table]) -> Iterable[list[Observation]]:
        for table in blocks:
            texts = self.column(table, self.text)
            sessions = self.column(table, self.session) if self.session else [None] * len(texts)
            told = [
                Observation(text=text, session=None if session is None else str(session), domain=self.domain)
                for text, session in zip(texts, sessions, strict=True)
                if text is not None and text.strip()
            ]
            for start in range(0, len(told), REQUEST_ITEMS):
                yield told[start : start + REQUEST_ITEMS]
