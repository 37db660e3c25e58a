"""A second writer takes over at a random instant of the first one's life: no record is lost, doubled or mixed."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

import pytest

from memory_core.errors import Fenced, Unavailable
from memory_core.ids import MemoryName, RequestId
from memory_core.lifecycle.machine import JournalLimits
from memory_core.results import ObserveOptions
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, Operation
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME = MemoryName("contested")
SETTINGS = WriterSettings(limits=JournalLimits(records=3))


@lru_cache(maxsize=10_000)
def hash_after(texts: tuple[str, ...]) -> str:
    """What a memory that learned exactly these texts, in this order, hashes to."""
    store = RamStore(uuid.uuid4().hex)
    Volume(store).create(NAME, tiny_config())
    writer = MemoryWriter.open(store, NAME)
    for text in texts:
        writer.observe(tiny_observations(text))
    return writer.stats().weight_hash


@dataclass
class Contest:
    """Writers that take the memory from one another, and what each was acknowledged.

    ``learned`` holds what must be there in order; ``in_doubt`` what a fenced writer had asked for without an answer.
    """

    store: ObjectStore
    random: Random
    learned: list[str] = field(default_factory=list)
    in_doubt: str | None = None
    current: str | None = None
    settled: int = 0
    newest: int = 0
    problems: list[AssertionError] = field(default_factory=list)
    depth: int = 0

    def write(self, writer: MemoryWriter, text: str) -> bool:
        """True when acknowledged. Whoever took over meanwhile must have found it then."""
        settled_before = self.settled
        try:
            writer.observe(tiny_observations(text), ObserveOptions(request_id=RequestId(text)))
        except (Fenced, Unavailable):
            return False
        if self.settled == settled_before:
            self.learned.append(text)
        assert text in self.learned
        return True

    def take_over(self, name: str) -> None:
        """Open beside the current writer and learn; deeper contests interrupt this one in turn."""
        self.depth += 1
        if self.depth < 3 and self.random.random() < 0.5:
            self.compete(name)
        else:
            writer = MemoryWriter.open(self.store, NAME, SETTINGS)
            self.settle(writer)
            self.write(writer, f"{name} took over")

    def compete(self, name: str) -> None:
        """Write until another writer, who comes at a random storage call, has won."""
        faulty = FaultyStore(self.store)
        at = self.random.randint(1, 60)

        def interrupt(operation: Operation) -> None:
            if operation.number == at:
                self.in_doubt = self.current or self.in_doubt
                try:
                    self.take_over(f"{name}+")
                except AssertionError as problem:  # the interrupted writer would take it for a failing store
                    self.problems.append(problem)

        faulty.hook = interrupt
        self.current = None
        try:
            writer = MemoryWriter.open(faulty, NAME, SETTINGS)
        except Fenced:
            return
        if writer.epoch < self.newest:
            # Taken over after its last look, while it cleaned up: it may serve what it read, but not write.
            assert not self.write(writer, f"{name} is stale")
            return
        self.settle(writer)
        for number in range(6):
            text = f"{name} {number}"
            self.current = text
            if not self.write(writer, text):
                return
            self.current = None

    def settle(self, writer: MemoryWriter) -> None:
        """A new owner shows whether what was in doubt arrived: it is the next one in order, or it is nowhere."""
        self.settled += 1
        self.newest = max(self.newest, writer.epoch)
        found = writer._memory.state.weight_hash()
        if self.in_doubt is not None and found == hash_after((*self.learned, self.in_doubt)):
            self.learned.append(self.in_doubt)
        self.in_doubt = None
        assert found == hash_after(tuple(self.learned)), self.learned


def contest(seed: int) -> Sequence[str]:
    store = RamStore(uuid.uuid4().hex)
    Volume(store).create(NAME, tiny_config())
    running = Contest(store, Random(seed))
    running.compete("first")
    if running.problems:
        raise running.problems[0]
    last = MemoryWriter.open(store, NAME, SETTINGS)
    running.settle(last)
    stats = last.stats()
    assert stats.seq == stats.observation_count == len(running.learned)
    assert len(set(running.learned)) == len(running.learned)
    return running.learned


def test_writers_that_take_over_at_random_instants_lose_and_double_nothing() -> None:
    assert max(len(contest(seed)) for seed in range(25)) > 5


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_interleavings_lose_and_double_nothing() -> None:
    assert sum(len(contest(seed)) for seed in range(1_000)) > 1_000
