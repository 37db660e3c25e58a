"""The backend suite on LocalBackend over each kind of volume."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import MemoryName
from memory_core.lifecycle.effects import ComputeConsolidation, Effect
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.local_backend import LocalBackend
from memory_core.results import Observation, ObserveOptions
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.backend_conformance import BackendConformance
from memory_core.testing.small_memory import small_config
from memory_core.writer import WriterSettings


class LocalBackendConformance(BackendConformance):
    @pytest.fixture
    async def config(self) -> MemoryConfig:
        return small_config()

    @pytest.fixture
    async def backend(self, store: ObjectStore) -> AsyncIterator[MemoryBackend]:
        self.encoders = LocalEncoderPool()
        self.store = store
        self.opened = [LocalBackend(store, self.encoders)]
        yield self.opened[0]
        for backend in self.opened:
            await backend.close()
        self.encoders.close()

    async def restart(self, backend: MemoryBackend) -> MemoryBackend:
        """The old backend stays: its writers are zombies that the new ones fence."""
        self.opened.append(LocalBackend(self.store, self.encoders))
        return self.opened[-1]


class TestOnFiles(LocalBackendConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalStore(tmp_path / "volume")


class TestInRam(LocalBackendConformance):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return RamStore(uuid.uuid4().hex)


@pytest.mark.s3
class TestOnS3(LocalBackendConformance):
    @pytest.fixture
    def store(self, s3_store: ObjectStore) -> ObjectStore:
        return s3_store


async def test_a_memory_made_with_another_encoder_version_is_refused(tmp_path: Path) -> None:
    from memory_core.errors import Conflict
    from memory_core.ids import MemoryName
    from memory_core.volume import Volume

    store = LocalStore(tmp_path)
    Volume(store).create(MemoryName("old"), small_config().with_changes(encoder_fingerprint="of another version"))
    encoders = LocalEncoderPool()
    backend = LocalBackend(store, encoders)
    with pytest.raises(Conflict) as raised:
        await backend.stats(MemoryName("old"))
    assert raised.value.code == "ENCODER_MISMATCH"
    await backend.close()
    encoders.close()


async def test_a_closed_backend_says_so(tmp_path: Path) -> None:
    from memory_core.errors import Unavailable
    from memory_core.ids import MemoryName

    backend: Any = LocalBackend(LocalStore(tmp_path), LocalEncoderPool())
    await backend.close()
    with pytest.raises(Unavailable):
        await backend.stats(MemoryName("any"))


async def test_a_memory_of_another_encoder_version_can_still_be_told_anew(tmp_path: Path) -> None:
    from memory_core.ids import EncoderId, MemoryName
    from memory_core.testing.small_memory import encode_observations
    from memory_core.volume import Volume

    store = LocalStore(tmp_path)
    Volume(store).create(MemoryName("old"), small_config().with_changes(encoder_fingerprint="of another version"))
    writer = Volume(store).open_writer(MemoryName("old"))
    writer.observe(encode_observations("Herons wait for fish.", "The lease ends in June."))
    writer.close()
    encoders = LocalEncoderPool()
    backend = LocalBackend(store, encoders)
    result = await backend.re_encode(MemoryName("old"), EncoderId("hash"), MemoryName("new"))
    assert (result.observation_count, (await backend.stats(MemoryName("new"))).pattern_count) == (2, 2)
    await backend.close()
    encoders.close()


async def test_what_progress_raises_ends_the_consolidation_with_the_memory_as_it_was() -> None:
    gate = threading.Event()

    def wait(effect: Effect) -> None:
        if isinstance(effect, ComputeConsolidation):
            assert gate.wait(60)

    def stop(fraction: float, phase: str) -> None:
        asyncio.get_running_loop().call_later(0.01, gate.set)
        raise TimeoutError(phase)

    pool = LocalEncoderPool()
    backend, name = LocalBackend(RamStore(uuid.uuid4().hex), pool, WriterSettings(on_effect=wait)), MemoryName("m")
    await backend.create(name, small_config())
    await backend.observe(name, [Observation(text="The ferry leaves at noon.")], ObserveOptions())
    before = await backend.stats(name)
    with pytest.raises(TimeoutError, match="waiting"):
        await backend.consolidate(name, steps=3, on_progress=stop)
    assert await backend.stats(name) == before
    assert (await backend.consolidate(name, steps=3)).held_out == 1
    await backend.close()
    pool.close()


async def test_versions_of_what_waited_for_long_come_by_themselves() -> None:
    encoders, name = LocalEncoderPool(), MemoryName("m")
    settings = WriterSettings(rhythm=CheckpointRhythm(every_s=0.2))
    backend = LocalBackend(RamStore(uuid.uuid4().hex), encoders, settings)
    await backend.create(name, small_config())
    await backend.observe(name, [Observation(text="Glass is made of sand.")], ObserveOptions())
    async with asyncio.timeout(60):
        while not (page := await backend.list_checkpoints(name, prefix="auto-")).checkpoints:
            await asyncio.sleep(0.05)
    assert page.checkpoints[0].observation_count == 1
    await backend.close()
    encoders.close()
