"""What S3 is asked: a page of a thousand memories, and what a forgotten text leaves behind."""

from typing import Any

import pytest

from memory_core.ids import MemoryName, Tag
from memory_core.results import ForgetSelection, MemoryInfo
from memory_core.storage.catalog import MemoryEntry
from memory_core.storage.documents import create_document
from memory_core.storage.lines import line_key
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.open_store import open_store
from memory_core.storage.s3_store import S3Store
from memory_core.testing.s3_server import fresh_bucket_url
from memory_core.testing.small_memory import tiny_config, tiny_observations, tiny_text
from memory_core.volume import Volume

pytestmark = pytest.mark.s3


def info_of(number: int) -> MemoryInfo:
    return MemoryInfo(
        name=MemoryName(f"memory-{number:04d}"),
        encoder="minilm",
        variant="sparse",
        units=32768,
        key_dim=384,
        created_at="2026-01-01T00:00:00+00:00",
        parent=f"memory-{number - 1:04d}@release-1" if number else None,
    )


def test_a_page_of_a_thousand_memories_costs_less_than_five_requests(
    s3_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fresh_bucket_url(s3_options)
    store = open_store(url, **s3_options)
    for number in range(1001):
        info = info_of(number)
        store.put(line_key(f"{number:032x}", info), b"")
        create_document(store, f"names/{info.name}", "memory", MemoryEntry(f"{number:032x}", info).to_dict())
    assert isinstance(store, S3Store)
    requests: list[str] = []
    send = store._fs.call_s3
    monkeypatch.setattr(store._fs, "call_s3", lambda method, **said: requests.append(method) or send(method, **said))
    monkeypatch.setattr(store._fs, "cat_file", lambda *_, **__: pytest.fail("a listing must not read objects"))
    for limit in (100, 1000):
        requests.clear()
        page = Volume(store).list_memories(limit)
        assert [info.name for info in page.memories] == [f"memory-{number:04d}" for number in range(limit)]
        assert page.memories[1] == info_of(1)
        assert page.next_cursor == f"memory-{limit - 1:04d}"
        assert len(requests) < 5


def test_no_object_holds_a_forgotten_text(s3_store: ObjectStore) -> None:
    volume, name = Volume(s3_store), MemoryName("m")
    volume.create(name, tiny_config())
    writer = volume.open_writer(name)
    writer.observe(tiny_observations("The heron Balthazar eats at noon.", "The lease ends in June."))
    writer.checkpoint(Tag("v1"))
    writer.observe(tiny_observations("Balthazar sleeps at night."))
    volume.delete_checkpoint(name, Tag("v1"))
    assert holding(s3_store, b"Balthazar")
    selection = ForgetSelection(subject="Balthazar")
    writer.forget(selection, [tiny_text(text) for text in writer.texts_to_forget(selection)])
    assert holding(s3_store, b"Balthazar") == []
    assert holding(s3_store, b"lease")


def holding(store: ObjectStore, text: bytes) -> list[str]:
    return [item.key for item in store.list_objects("") if text in store.get(item.key)]
