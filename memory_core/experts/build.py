"""Teaching an expert and writing it down: a read-only memory with its card, as one ``.nmem`` file."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import InvalidInput
from memory_core.experts.card import Card
from memory_core.experts.chunk import Chunk
from memory_core.experts.examination import generated_questions, recall
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.results import Observation, ObserveOptions
from memory_core.storage.archive import ArchiveHead, Member, write_archive
from memory_core.storage.ram_store import RamStore

REQUEST_CHUNKS: Final = 64
_UNITS_PER_CHUNK: Final = 3
_UNITS_MIN: Final = 1024

OnTaught = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an expert is made of. domain: the label of what it knows."""

    name: str
    source: str
    version: str
    licence: str
    domain: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Expert:
    """A built expert: its card, the manifest and the files of its archive."""

    card: Card
    head: ArchiveHead
    files: dict[Member, bytes]

    def archive(self) -> AsyncIterator[bytes]:
        """The ``.nmem`` file in pieces."""

        async def read(member: Member) -> bytes:
            return self.files[member]

        return write_archive(self.head, read)

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self.head.size_bytes


async def build_expert(source: Source, encoders: EncoderPool, encoder: EncoderId, on_taught: OnTaught) -> Expert:
    """Teach everything in order, examine what came of it, and seal it. InvalidInput when there is nothing to teach."""
    if not source.chunks:
        raise InvalidInput(f"{source.source} says nothing.", code="SOURCE_EMPTY", hint="Give another source.")
    name = MemoryName("expert")
    backend = LocalBackend(RamStore(f"expert-{uuid.uuid4().hex}"), encoders)
    try:
        await backend.create(name, await _config(source, encoders, encoder))
        await _teach(backend, name, source, on_taught)
        questions, made_from = generated_questions(source.chunks)
        share = await recall(backend, name, questions)
        patterns = (await backend.stats(name)).pattern_count
        card = Card(
            name=source.name,
            source=source.source,
            version=source.version,
            licence=source.licence,
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
            encoder=encoder,
            chunks=len(source.chunks),
            patterns=patterns,
            questions=len(questions),
            questions_from=made_from,
            recall=share,
        )
        return await _sealed(backend, name, card)
    finally:
        await backend.close()


async def _config(source: Source, encoders: EncoderPool, encoder: EncoderId) -> MemoryConfig:
    """Room for all of it and little more; half of the bytes for the fast weights."""
    info = await encoders.describe(encoder)
    units = max(_UNITS_MIN, _UNITS_PER_CHUNK * len(source.chunks))
    return MemoryConfig(
        encoder=encoder,
        encoder_fingerprint=info.fingerprint,
        key_dim=info.key_dim,
        units=units,
        dtype="bfloat16",
        saturation="refuse",
    )


async def _teach(backend: LocalBackend, name: MemoryName, source: Source, on_taught: OnTaught) -> None:
    observations = [Observation(text=chunk.text, domain=source.domain) for chunk in source.chunks]
    for start in range(0, len(observations), REQUEST_CHUNKS):
        part: Sequence[Observation] = observations[start : start + REQUEST_CHUNKS]
        await backend.observe(name, part, ObserveOptions())
        on_taught(len(part))


async def _sealed(backend: LocalBackend, name: MemoryName, card: Card) -> Expert:
    """The archive of the memory, with learning rate 0 from here on."""
    exported: ArchiveHead = await backend._ask_owner(name, "export_head")
    files = {member: await backend._ask_owner(name, "export_member", exported, member) for member in exported.files}
    config = {**exported.config, "learning_rate": 0.0}
    return Expert(card, replace(exported, memory=card.name, description=card.pack(), config=config), files)
