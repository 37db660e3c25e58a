"""Random days of several memories on a store that fails, beside the same days on one that does not.

A caller who repeats what failed must see the same states, tags and errors on both. Whatever fails is a typed,
retryable error; nothing wrong is ever served.
"""

import uuid
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memory_core.errors import NeuralMemoryError
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.lifecycle.machine import JournalLimits
from memory_core.results import MemoryStats, ObserveOptions
from memory_core.storage.catalog import Catalog
from memory_core.storage.checkpoints import CheckpointShelf
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.storage_results import RetentionPolicy
from memory_core.stored_states import StoredStates
from memory_core.testing.faulty_store import FaultyStore, Operation, do_nothing, lost
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAMES = st.sampled_from([MemoryName("a"), MemoryName("b")])
TAGS = st.sampled_from([Tag("v1"), Tag("v2")])
ATTEMPTS_MAX = 4
Act = Callable[["World"], Any]


class World:
    """One volume, opened writers, and a caller who repeats what failed for want of an answer."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.volume = Volume(store, WriterSettings(limits=JournalLimits(records=4)))
        self.writers: dict[MemoryName, MemoryWriter] = {}

    def writer(self, name: MemoryName) -> MemoryWriter:
        writer = self.writers.get(name)
        if writer is None or not writer.is_usable:
            writer = self.writers[name] = self.volume.open_writer(name)
        return writer

    def crash(self) -> None:
        self.writers.clear()

    def delete(self, name: MemoryName) -> None:
        self.writers.pop(name, None)
        self.volume.delete(name)

    def carry(self, name: MemoryName, child: MemoryName) -> None:
        """Out to an archive and in again."""
        writer = self.writer(name)
        head = writer.export_head()
        for member in head.files:
            self.volume.import_member(member, writer.export_member(head, member))
        self.volume.import_memory(child, head)

    def stats(self, name: MemoryName) -> MemoryStats:
        return self.writer(name).stats()


def outcomes(act: Act, world: World, repeated: frozenset[str] = frozenset()) -> set[str]:
    """What a caller may conclude in the end: done, or an error's code.

    A code in ``repeated`` after a try whose answer was lost may mean that this try had won.
    """
    for attempt in range(ATTEMPTS_MAX):
        try:
            act(world)
        except NeuralMemoryError as error:
            if error.retryable:
                continue
            return {"done", error.code} if attempt and error.code in repeated else {error.code}
        return {"done"}
    return {"gave up"}


class StorageMachine(RuleBasedStateMachine):
    """``real`` fails now and then, ``model`` never."""

    @initialize()
    def open(self) -> None:
        self.faulty = FaultyStore(RamStore(uuid.uuid4().hex))
        self.real, self.model = World(self.faulty), World(RamStore(uuid.uuid4().hex))
        self.request_count = 0
        self.both(lambda world: world.volume.create(MemoryName("a"), tiny_config()))

    def both(self, act: Act, repeated: frozenset[str] = frozenset()) -> None:
        (expected,) = outcomes(act, self.model)
        assert expected in outcomes(act, self.real, repeated)
        self.faulty.hook = do_nothing

    @rule(after=st.integers(1, 40))
    def fail_once(self, after: int) -> None:
        """One storage call from now on fails, before it is done or with its answer lost."""
        at = self.faulty.operation_count + after

        def hook(operation: Operation) -> None:
            if operation.number == at:
                raise lost(operation)

        self.faulty.hook = hook

    @rule(name=NAMES)
    def create(self, name: MemoryName) -> None:
        self.both(lambda world: world.volume.create(name, tiny_config()), frozenset({"MEMORY_EXISTS"}))

    @rule(name=NAMES, count=st.integers(1, 3))
    def observe(self, name: MemoryName, count: int) -> None:
        self.request_count += 1
        options = ObserveOptions(request_id=RequestId(f"r{self.request_count}"))
        batch = tiny_observations(*[f"text {self.request_count} {number}" for number in range(count)])
        self.both(lambda world: world.writer(name).observe(batch, options))

    @rule(name=NAMES, back=st.integers(0, 3))
    def repeat_an_old_request_id(self, name: MemoryName, back: int) -> None:
        options = ObserveOptions(request_id=RequestId(f"r{self.request_count - back}"))
        batch = tiny_observations(f"text {self.request_count - back} 0")
        self.both(lambda world: world.writer(name).observe(batch, options))

    @rule(name=NAMES, tag=TAGS)
    def checkpoint(self, name: MemoryName, tag: Tag) -> None:
        self.both(lambda world: world.writer(name).checkpoint(tag), frozenset({"CHECKPOINT_EXISTS"}))

    @rule(name=NAMES, tag=TAGS)
    def restore(self, name: MemoryName, tag: Tag) -> None:
        self.both(lambda world: world.writer(name).restore(tag))

    @rule(name=NAMES, tag=TAGS, child=NAMES)
    def fork(self, name: MemoryName, tag: Tag, child: MemoryName) -> None:
        self.both(lambda world: world.volume.fork(name, tag, child), frozenset({"MEMORY_EXISTS"}))

    @rule(name=NAMES)
    def delete(self, name: MemoryName) -> None:
        self.both(lambda world: world.delete(name), frozenset({"MEMORY_NOT_FOUND"}))

    @rule(name=NAMES, tag=TAGS)
    def delete_a_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        self.both(lambda world: world.volume.delete_checkpoint(name, tag), frozenset({"CHECKPOINT_NOT_FOUND"}))

    @rule(name=NAMES, keep=st.integers(0, 2))
    def prune(self, name: MemoryName, keep: int) -> None:
        policy = RetentionPolicy(keep_last=keep, keep_tagged=False)
        self.both(lambda world: world.volume.prune(name, policy, is_dry_run=False))

    @rule()
    def collect_garbage(self) -> None:
        self.both(lambda world: world.volume.collect_garbage(0.0, is_dry_run=False))

    @rule(name=NAMES, child=NAMES)
    def export_and_import(self, name: MemoryName, child: MemoryName) -> None:
        self.both(lambda world: world.carry(name, child), frozenset({"MEMORY_EXISTS"}))

    @rule()
    def crash(self) -> None:
        self.real.crash()

    @rule(name=NAMES)
    def open_beside(self, name: MemoryName) -> None:
        """Another process takes the memory; the one before finds out at its next write."""
        other = World(self.faulty.inner)
        expected = outcomes(lambda world: world.stats(name), self.model)
        assert outcomes(lambda world: world.writer(name), other) == expected

    def everything_reachable_is_whole(self) -> None:
        volume = Volume(self.faulty.inner)
        for info in volume.list_memories().memories:
            assert volume.verify(info.name).is_intact
            for one, other in zip(versions(self.real, info.name), versions(self.model, info.name), strict=True):
                assert one == other

    @invariant()
    def both_worlds_hold_the_same(self) -> None:
        if not hasattr(self, "real"):
            return
        hook, self.faulty.hook = self.faulty.hook, do_nothing
        for name in ("a", "b"):
            assert seen(self.real, MemoryName(name)) == seen(self.model, MemoryName(name))
        self.everything_reachable_is_whole()
        self.faulty.hook = hook


def seen(world: World, name: MemoryName) -> Any:
    """What a memory is to its callers. After the rule ``crash`` this is what storage holds."""
    try:
        stats = world.stats(name)
    except NeuralMemoryError as error:
        return error.code
    return stats.weight_hash, stats.seq, stats.observation_count, stats.checkpoint_tags, stats.parent


def versions(world: World, name: MemoryName) -> list[tuple[Tag, str]]:
    """Every published version, loaded: ``load`` checks the bytes against their hashes, and the state against its."""
    shelf = CheckpointShelf(world.store, Catalog(world.store))
    states = StoredStates(world.store, shelf)
    return [(tag, states.load(name, tag).weight_hash()) for tag in shelf.tags(name)]


TestStorageMachine = StorageMachine.TestCase
# A step learns, syncs and recovers, so an example costs a second; the profile "explore" runs many more.
TestStorageMachine.settings = settings(max_examples=settings().max_examples // 3, stateful_step_count=15)
