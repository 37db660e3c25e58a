"""A tiny memory in RAM or in a folder."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from memory_core.ids import MemoryName
from memory_core.lifecycle.machine import JournalLimits
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME = MemoryName("m")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny tensors gain nothing from more, and threads that spin for work slow everything else down."""
    torch.set_num_threads(1)


@pytest.fixture(params=["file", "memory"])
def plain_store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path / "volume") if request.param == "file" else RamStore(uuid.uuid4().hex)


@pytest.fixture
def store(plain_store: ObjectStore) -> FaultyStore:
    """A store whose faults a test may set; it has one empty memory."""
    Volume(plain_store).create(NAME, tiny_config())
    return FaultyStore(plain_store)


@pytest.fixture
def open_writer(store: FaultyStore) -> Callable[..., MemoryWriter]:
    """Open the memory, fencing whoever had it."""

    def open_it(limits: JournalLimits | None = None) -> MemoryWriter:
        return MemoryWriter.open(store, NAME, WriterSettings(limits=limits or JournalLimits()))

    return open_it
