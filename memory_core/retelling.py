"""A memory told anew: what it learned, as far as it still knows, learned by another one through another encoder.

Keys of two encoders mean nothing to each other, so a memory cannot change its encoder; its exemplars can be learned
again. Texts, domains, sessions, times and metadata travel, in their order. What the exemplars do not hold does not:
how often a thing was repeated, and links between passages that no session joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderInfo
from memory_core.errors import ReadOnly
from memory_core.ids import MemoryName
from memory_core.results import (
    Exemplar,
    MemoryInfo,
    MemoryStats,
    Observation,
    ObserveOptions,
    ObserveResult,
    ReencodeResult,
)

if TYPE_CHECKING:
    # Not at run time: a service's ingress tells memories anew, and stays free of torch.
    from memory_core.state import MemoryState

BATCH: Final = 256
BATCH_LENGTH: Final = 1 << 20


class Learner(Protocol):
    """The part of a backend that a retelling needs."""

    async def create(self, name: MemoryName, config: MemoryConfig) -> MemoryInfo:
        """See MemoryBackend."""
        ...

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """See MemoryBackend."""
        ...

    async def stats(self, name: MemoryName) -> MemoryStats:
        """See MemoryBackend."""
        ...

    async def delete(self, name: MemoryName) -> None:
        """See MemoryBackend."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a memory was told, with the settings it was made with."""

    memory: MemoryName
    config: MemoryConfig
    observations: tuple[Observation, ...]


def story_of(memory: MemoryName, state: MemoryState) -> Story:
    """All exemplars of a state in the order of their observation."""
    ids = state.bank.column("pattern_id_U").tolist()
    slots = zip(ids, state.bank.exemplars, strict=True)
    told = sorted(((item.seq, number, item) for number, slot in slots for item in slot), key=lambda entry: entry[:2])
    return Story(memory=memory, config=state.config, observations=tuple(_observation(item) for _, _, item in told))


async def retell(learner: Learner, story: Story, encoder: EncoderInfo, new_name: MemoryName) -> ReencodeResult:
    """Make a memory with ``encoder`` and tell it the story; on failure the new memory is removed again.

    Raises Conflict when the name is taken, ReadOnly when the settings do not allow to learn.
    """
    if story.config.is_read_only:
        raise ReadOnly(
            f"Memory {story.memory} has learning rate 0, and a memory with its settings could not learn its texts.",
            hint="Re-encode the memory it was forked from.",
        )
    config = story.config.with_changes(
        encoder=encoder.encoder_id, encoder_fingerprint=encoder.fingerprint, key_dim=encoder.key_dim
    )
    await learner.create(new_name, config)
    try:
        for batch in _batches(story.observations):
            await learner.observe(new_name, batch, ObserveOptions())
    except BaseException:
        await learner.delete(new_name)
        raise
    stats = await learner.stats(new_name)
    return ReencodeResult(
        memory=new_name,
        source=story.memory,
        encoder=stats.encoder,
        encoder_fingerprint=encoder.fingerprint,
        observation_count=stats.observation_count,
        pattern_count=stats.pattern_count,
        weight_hash=stats.weight_hash,
    )


def _observation(item: Exemplar) -> Observation:
    return Observation(
        text=item.text,
        domain=item.domain,
        session=item.session,
        occurred_at=item.occurred_at,
        metadata=item.metadata,
    )


def _batches(observations: Sequence[Observation]) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    length = 0
    for item in observations:
        if batch and (len(batch) == BATCH or length + len(item.text) > BATCH_LENGTH):
            yield batch
            batch, length = [], 0
        batch.append(item)
        length += len(item.text)
    if batch:
        yield batch
