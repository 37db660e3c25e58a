"""Random days of a MemoryBackend on storage that goes wrong in every way we know, beside a day on one that does not.

Whoever repeats what failed ends where nothing fails; what fails is a typed error; damaged objects are noticed, and
nothing that was acknowledged is lost once the storage is as it was.
"""

import asyncio
import errno
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import EncoderInfo
from memory_core.errors import NeuralMemoryError
from memory_core.ids import PERIODIC_PREFIX, EncoderId, MemoryName, RequestId, Seq, Tag
from memory_core.lifecycle.machine import JournalLimits
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.local_backend import LocalBackend
from memory_core.results import EncodedText, ForgetSelection, InferOptions, Observation, ObserveOptions
from memory_core.storage.object_store import storage_unavailable
from memory_core.storage.ram_store import RamStore
from memory_core.storage_results import RetentionPolicy
from memory_core.testing.faulty_store import FaultyStore, Moment, Operation, do_nothing, flip_bit, lost, truncate
from memory_core.testing.small_memory import TINY_KEY_DIM, tiny_config, tiny_text
from memory_core.writer import WriterSettings

NAME = MemoryName("a")
TAGS = st.sampled_from([Tag("v1"), Tag("v2")])
ATTEMPTS_MAX = 4
LOOP = asyncio.new_event_loop()
Act = Callable[[MemoryBackend], Coroutine[Any, Any, Any]]
# A first try whose answer was lost may have won; the repetition then meets its own work.
OWN_WORK = frozenset({"CHECKPOINT_EXISTS", "MEMORY_EXISTS", "SEQ_NOT_IN_JOURNAL"})


class TinyEncoders:
    """The encoder of tiny memories."""

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        return EncoderInfo(encoder_id=encoder, fingerprint="tiny", key_dim=TINY_KEY_DIM)

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        return [tiny_text(text) for text in texts]


class KeepingStore(RamStore):
    """Forgets nothing that a rollback may need, so that it reaches whatever another store still reaches."""

    def delete(self, key: str) -> None:
        if not any(part in key for part in ("/heads/", "/journal/", "/state/")):
            super().delete(key)


class World:
    """A backend on a store, and a caller who repeats what failed for want of an answer."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.crash()

    def crash(self) -> None:
        """The process is gone without a goodbye, and another one serves."""
        settings = WriterSettings(
            limits=JournalLimits(records=4),
            rhythm=CheckpointRhythm(every_observations=6),
            retention=RetentionPolicy(keep_last=1),
        )
        self.backend = LocalBackend(self.store, TinyEncoders(), settings)

    def outcomes(self, act: Act) -> set[str]:
        """What the caller may conclude: done, or an error's code."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                LOOP.run_until_complete(act(self.backend))
            except NeuralMemoryError as error:
                if error.retryable:
                    continue
                return {"done", error.code} if attempt and error.code in OWN_WORK else {error.code}
            return {"done"}
        return {"gave up"}

    def seen(self) -> Any:
        """The memory as its callers see it, or the code of what they are told."""
        try:
            stats = LOOP.run_until_complete(self.backend.stats(NAME))
        except NeuralMemoryError as error:
            return error.code
        asked = [tag for tag in stats.checkpoint_tags if not tag.startswith(PERIODIC_PREFIX)]
        return stats.weight_hash, stats.seq, stats.observation_count, asked


def fails_once(at: int) -> Callable[[Operation], None]:
    def hook(operation: Operation) -> None:
        if operation.number == at:
            raise lost(operation)

    return hook


def refuses_writes(number: int) -> Callable[[Operation], None]:
    """A full disk, or a volume that turned read-only."""

    def hook(operation: Operation) -> None:
        if operation.is_write and operation.moment is Moment.BEFORE:
            raise storage_unavailable(operation.method, operation.key, OSError(number, "no"))

    return hook


def is_slow(_: Operation) -> None:
    time.sleep(0.0005)


class FaultyBackend(RuleBasedStateMachine):
    """``real`` meets faults, ``model`` never."""

    @initialize()
    def open(self) -> None:
        self.faulty = FaultyStore(RamStore(uuid.uuid4().hex))
        self.real, self.model = World(self.faulty), World(KeepingStore(uuid.uuid4().hex))
        self.count = 0
        self.both(lambda backend: backend.create(NAME, tiny_config()))

    def both(self, act: Act) -> None:
        """The same on both: first in the real world, again when a lasting fault is over."""
        (expected,) = self.model.outcomes(act)
        found = self.real.outcomes(act)
        if found == {"gave up"}:
            self.faulty.hook = do_nothing
            found = self.real.outcomes(act) | ({"done"} if expected == "done" else set())
        assert expected in found
        self.faulty.hook = do_nothing
        assert self.real.seen() == self.model.seen()

    @rule(after=st.integers(1, 30))
    def a_call_fails_or_its_answer_is_lost(self, after: int) -> None:
        self.faulty.hook = fails_once(self.faulty.operation_count + after)

    @rule(fault=st.sampled_from([refuses_writes(errno.ENOSPC), refuses_writes(errno.EROFS), is_slow]))
    def the_volume_is_full_or_read_only_or_slow(self, fault: Callable[[Operation], None]) -> None:
        self.faulty.hook = fault

    @rule(count=st.integers(1, 3))
    def observe(self, count: int) -> None:
        self.count += 1
        options = ObserveOptions(request_id=RequestId(f"r{self.count}"))
        batch = [Observation(text=f"text {self.count} {number}") for number in range(count)]
        self.both(lambda backend: backend.observe(NAME, batch, options))

    @rule()
    def infer(self) -> None:
        self.both(lambda backend: backend.infer(NAME, "text 1 0", InferOptions()))

    @rule(tag=TAGS, momentum=st.booleans())
    def checkpoint(self, tag: Tag, momentum: bool) -> None:
        self.both(lambda backend: backend.checkpoint(NAME, tag, include_momentum=momentum))

    @rule(tag=TAGS, momentum=st.booleans())
    def restore(self, tag: Tag, momentum: bool) -> None:
        self.both(lambda backend: backend.restore(NAME, tag, restore_momentum=momentum))

    @rule(back=st.integers(0, 8))
    def rollback(self, back: int) -> None:
        """Which positions are left depends on how often a memory was reopened; the newest one is always there."""
        stats = LOOP.run_until_complete(self.model.backend.stats(NAME))
        seq = Seq(max(0, stats.seq - back))

        def act(backend: MemoryBackend) -> Coroutine[Any, Any, Any]:
            return backend.rollback(NAME, seq)

        found = self.real.outcomes(act)
        self.faulty.hook = do_nothing
        if found == {"gave up"}:
            found = self.real.outcomes(act) | {"done"}
        assert "done" in found or (back and found == {"SEQ_NOT_IN_JOURNAL"})
        if self.real.seen() != self.model.seen():
            assert "done" in found
            assert self.model.outcomes(act) == {"done"}
        assert self.real.seen() == self.model.seen()

    @rule()
    def forget(self) -> None:
        selection = ForgetSelection(subject="text 1 0")
        self.both(lambda backend: backend.forget(NAME, selection))

    @rule()
    def crash(self) -> None:
        self.faulty.hook = do_nothing
        self.real.crash()
        assert self.real.seen() == self.model.seen()

    @rule(choice=st.integers(0, 40), position=st.integers(0, 100_000), cuts=st.booleans())
    def damage(self, choice: int, position: int, cuts: bool) -> None:
        """One stored object is cut or has a flipped bit, and the process is restarted on it."""
        self.faulty.hook = do_nothing
        store = self.faulty.inner
        listed = [item.key for item in store.list_objects("")]
        newest_head = max(key for key in listed if "/heads/" in key)
        parts = ("names/", "blobs/", "/journal/", "/checkpoints/", "/state/")
        reached = [newest_head, *(key for key in listed if any(part in key for part in parts))]
        key = reached[choice % len(reached)]
        whole = store.get(key)
        if cuts:
            truncate(store, key, position % len(whole))
        else:
            flip_bit(store, key, position)
        self.real.crash()
        expected = self.model.seen()
        assert self.real.seen() in (expected, "STATE_CORRUPTED")
        for tag in ("v1", "v2"):
            found = self.real.outcomes(lambda backend, tag=tag: backend.fork(NAME, Tag(tag), MemoryName("fork")))  # type: ignore[misc]
            if found == {"done"}:
                assert self.real.outcomes(lambda backend: backend.delete(MemoryName("fork"))) <= {
                    "done",
                    "STATE_CORRUPTED",
                }
            assert found <= {"done", "STATE_CORRUPTED", "CHECKPOINT_NOT_FOUND", "MEMORY_EXISTS"}
        store.put(key, whole)
        self.real.outcomes(lambda backend: backend.delete(MemoryName("fork")))
        self.real.crash()
        assert self.real.seen() == expected


TestFaultyBackend = pytest.mark.timeout(1200)(FaultyBackend.TestCase)
TestFaultyBackend.settings = settings(max_examples=max(500, settings().max_examples), stateful_step_count=5)
