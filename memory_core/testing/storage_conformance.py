"""What every MemoryBackend promises of moving, checking and cleaning what is stored."""
# ruff: noqa: D102  the names of tests are their documentation

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from memory_core.backend import MemoryBackend
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.storage_results import ExportFormat, RetentionPolicy
from memory_core.testing.backend_fixtures import CAT, ORCHID, SHIP, BackendFixtures, fresh_name


async def exported(
    backend: MemoryBackend, name: MemoryName, tag: Tag | None = None, form: ExportFormat = "nmem"
) -> bytes:
    """A whole export."""
    export = await backend.export(name, tag=tag, form=form)
    data = b"".join([chunk async for chunk in export.chunks])
    assert export.size_bytes in {None, len(data)}
    return data


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Bytes as they arrive over a network."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


class StorageConformance(BackendFixtures):
    """The suite. Names of tests are the promises."""

    async def test_an_exported_memory_comes_back_equal_and_goes_on_equally(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT, SHIP)
        data = await exported(backend, name)
        twin = fresh_name("twin")
        result = await backend.import_memory(twin, pieces(data))
        assert (result.source, result.observation_count) == (name, 2)
        for memory in (name, twin):
            await self.learn(backend, memory, ORCHID)
        one, other = await backend.stats(name), await backend.stats(twin)
        assert one.weight_hash == other.weight_hash != result.weight_hash
        assert (one.seq, one.observation_count) == (other.seq, other.observation_count) == (3, 3)

    async def test_a_checkpoint_is_exported_as_it_was_and_always_as_the_same_bytes(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        saved = await backend.checkpoint(name, Tag("v1"))
        before = await exported(backend, name, Tag("v1"))
        await self.learn(backend, name, SHIP)
        assert await exported(backend, name, Tag("v1")) == before
        result = await backend.import_memory(fresh_name("twin"), pieces(before))
        assert (result.weight_hash, result.source) == (saved.weight_hash, f"{name}@v1")

    async def test_an_empty_memory_is_exported_and_imported_too(self, backend: MemoryBackend, name: MemoryName) -> None:
        await backend.checkpoint(name, Tag("empty"))
        for tag in (None, Tag("empty")):
            result = await backend.import_memory(fresh_name("twin"), pieces(await exported(backend, name, tag)))
            assert (result.observation_count, result.weight_hash) == (0, (await backend.stats(name)).weight_hash)

    async def test_people_read_every_exemplar_on_a_line(self, backend: MemoryBackend, name: MemoryName) -> None:
        await self.learn(backend, name, CAT, SHIP)
        facts, *lines = map(json.loads, (await exported(backend, name, form="jsonl")).splitlines())
        assert facts["observation_count"] == 2
        assert [line["text"] for line in lines] == [CAT, SHIP]
        assert all(line["strength"] > 0 for line in lines)

    async def test_an_export_of_what_is_not_there_is_not_found(self, backend: MemoryBackend, name: MemoryName) -> None:
        for missing, tag in ((fresh_name("nobody"), None), (fresh_name("nobody"), Tag("v1")), (name, Tag("never"))):
            with pytest.raises(NotFound):
                await backend.export(missing, tag=tag)

    async def test_an_import_never_replaces_a_memory_and_never_leaves_half_of_one(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        data = await exported(backend, name)
        with pytest.raises(Conflict) as raised:
            await backend.import_memory(name, pieces(data))
        assert raised.value.code == "MEMORY_EXISTS"
        damaged = bytearray(data)
        damaged[-3000] ^= 1
        half = fresh_name("half")
        for bad in (data[: len(data) // 2], bytes(damaged), b"", b"PK\x03\x04 not a tar" * 100):
            with pytest.raises(InvalidInput):
                await backend.import_memory(half, pieces(bad))
            with pytest.raises(NotFound):
                await backend.stats(half)

    async def test_a_deleted_checkpoint_is_gone_and_its_fork_lives(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        await backend.checkpoint(name, Tag("v1"))
        child = fresh_name("child")
        await backend.fork(name, Tag("v1"), child)
        await backend.delete_checkpoint(name, Tag("v1"))
        await backend.collect_garbage(grace_s=0.0)
        assert (await backend.list_checkpoints(name)).checkpoints == ()
        assert (await backend.stats(child)).observation_count == 1
        with pytest.raises(NotFound) as raised:
            await backend.delete_checkpoint(name, Tag("v1"))
        assert raised.value.code == "CHECKPOINT_NOT_FOUND"

    async def test_pruning_deletes_what_no_rule_keeps(self, backend: MemoryBackend, name: MemoryName) -> None:
        for tag in ("auto-1", "release", "auto-2", "auto-3"):
            await backend.checkpoint(name, Tag(tag))
        assert await backend.retention(name) == RetentionPolicy()
        assert (await backend.prune(name)).removed == ()
        await backend.set_retention(name, RetentionPolicy(keep_last=1))
        told = await backend.prune(name, is_dry_run=True)
        assert (told.removed, told.kept_count) == (("auto-2", "auto-1"), 2)
        assert (await backend.prune(name, policy=RetentionPolicy(keep_younger_than_s=3600))).removed == ()
        assert (await backend.prune(name)).removed == told.removed
        assert [item.tag for item in (await backend.list_checkpoints(name)).checkpoints] == ["auto-3", "release"]

    async def test_a_sound_memory_verifies_and_a_missing_one_is_not_found(
        self, backend: MemoryBackend, name: MemoryName
    ) -> None:
        await self.learn(backend, name, CAT)
        await backend.checkpoint(name, Tag("v1"))
        await self.learn(backend, name, SHIP)
        report = await backend.verify(name)
        assert (report.is_intact, report.damages) == (True, ())
        assert report.objects_checked > 5
        with pytest.raises(NotFound):
            await backend.verify(fresh_name("nobody"))
        assert (await backend.verify()).is_intact
