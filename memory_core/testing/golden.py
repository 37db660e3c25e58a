"""A small volume that shows every object of the stored format, and how it is written.

Write it anew, after a change of the format that raises its version: ``python -m memory_core.testing.golden FOLDER``.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.results import ObserveOptions
from memory_core.storage.local_store import LocalStore
from memory_core.storage.open_store import open_store
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME: Final = MemoryName("golden")
FORK: Final = MemoryName("golden-fork")
EXPECTED: Final = "expected.json"
_TEXTS: Final = (
    ("Ruth opens the bakery at six.", "The oven is from 1931."),
    ("The ferry to Hvar takes two hours.",),
    ("Basalt cools faster than granite.",),
)


def facts(store: LocalStore, name: MemoryName) -> dict[str, Any]:
    """What a reader must find in a memory."""
    writer = MemoryWriter.open(store, name)
    stats = writer.stats()
    story = [asdict(item) for slot in writer._memory.state.bank.exemplars for item in slot]
    found = {
        "seq": stats.seq,
        "observation_count": stats.observation_count,
        "pattern_count": stats.pattern_count,
        "weight_hash": stats.weight_hash,
        "tags": list(stats.checkpoint_tags),
        "parent": stats.parent,
        "exemplars": story,
    }
    writer.close(must_fold=False)
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def write_golden(folder: Path) -> None:
    """A memory with a checkpoint, one without momentum, a journal with an answered request, and a fork."""
    shutil.rmtree(folder, ignore_errors=True)
    open_store(folder.absolute().as_uri())
    store = LocalStore(folder)
    settings = WriterSettings(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    volume = Volume(store, settings)
    volume.create(NAME, tiny_config(units=16))
    writer = MemoryWriter.open(store, NAME, settings)
    for number, texts in enumerate(_TEXTS):
        details = {"session": "s1", "domain": "notes", "occurred_at": "2026-01-01", "metadata": {"page": number}}
        options = ObserveOptions(request_id=RequestId(f"r{number}"))
        writer.observe(tiny_observations(*texts, **details), options)
        if number == 0:
            writer.checkpoint(Tag("v1"), "the bakery")
            writer.checkpoint(Tag("light"), include_momentum=False)
    writer.fork(Tag("v1"), FORK)
    writer.close(must_fold=False)
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    copy = folder.with_name(f"{folder.name}-copy")
    shutil.copytree(folder, copy)
    expected = {name: facts(LocalStore(copy), name) for name in (NAME, FORK)}
    shutil.rmtree(copy)
    (folder / EXPECTED).write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden(Path(sys.argv[1]))
