"""A volume with a small memory, and files to teach it from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from memory_core.encoding.encoder import EncoderInfo
from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.ids import MemoryName
from memory_core.jobs.plan import JobId, JobPlan, Position, Reading
from memory_core.jobs.record import JobShelf
from memory_core.jobs.run import Stream, local_stream
from memory_core.jobs.sources import find_files
from memory_core.jobs.windows import PlacedRow
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.open_store import open_store
from memory_core.testing.small_memory import small_config

SENTENCES = tuple(f"The warehouse in street {number} keeps {number * 7} boxes of tea." for number in range(100))


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store((tmp_path / "volume").as_uri())


@pytest.fixture
def shelf(store: ObjectStore) -> JobShelf:
    return JobShelf(store)


@pytest.fixture(scope="session")
def encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture
def stream(encoder: HashEncoder) -> Stream:
    return local_stream(encoder)


class Corpus:
    """Files of JSON lines, and plans over them."""

    def __init__(self, folder: Path, encoder: HashEncoder) -> None:
        self.folder = folder
        self._info = EncoderInfo(
            encoder_id=encoder.encoder_id, fingerprint=encoder.fingerprint, key_dim=encoder.key_dim
        )
        folder.mkdir()

    def write(self, name: str, rows: Sequence[Any]) -> None:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (self.folder / name).write_text("".join(line + "\n" for line in lines))

    def plan(self, **chosen: Any) -> JobPlan:
        reading = chosen.pop("reading", Reading())
        source = str(self.folder)
        memory = None if reading.memory else MemoryName("team")
        settings = {"memory": memory, "config": small_config(), "window_items": 32, "job_id": JobId("job"), **chosen}
        files = find_files(source, reading)
        return JobPlan(source=source, files=files, reading=reading, encoder=self._info, **settings)


@pytest.fixture
def corpus(tmp_path: Path, encoder: HashEncoder) -> Corpus:
    return Corpus(tmp_path / "corpus", encoder)


class Died(BaseException):
    """The process is gone."""


def ending(inner: Stream, after: int) -> Stream:
    """A stream whose process dies before its piece number ``after``."""

    def stream(plan: JobPlan, position: Position) -> Iterator[Sequence[PlacedRow]]:
        for number, piece in enumerate(inner(plan, position)):
            if number == after:
                raise Died
            yield piece

    return stream
