"""Memories that an image brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.local import open_local
from deployments.pretrained import load_pretrained
from deployments.settings import Settings
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, Observation, ObserveOptions

PYTHON = MemoryName("python")


def settings_of(tmp_path: Path, **chosen: object) -> Settings:
    found = {"memory_storage_path": str(tmp_path / "volume"), "encoder": "hash", "pretrained_path": tmp_path}
    return Settings.model_validate({**found, **chosen})


async def write_expert(tmp_path: Path, file: str) -> None:
    memories = open_local(settings_of(tmp_path, memory_storage_path=str(tmp_path / "workshop"), memory_dim=64))
    name = MemoryName(Path(file).stem)
    await memories.create_chosen(name, {})
    await memories.observe(name, [Observation(text="A tuple cannot be changed.")], ObserveOptions())
    exported = await memories.export(name, tag=None, form="nmem")
    (tmp_path / file).write_bytes(b"".join([chunk async for chunk in exported.chunks]))
    await memories.close()


async def test_files_become_memories_of_their_names_once(tmp_path: Path) -> None:
    await write_expert(tmp_path, "python.nmem")
    await write_expert(tmp_path, "rust.nmem")
    assert await load_pretrained(settings_of(tmp_path)) == ("python", "rust")
    assert await load_pretrained(settings_of(tmp_path)) == ()


async def test_domain_names_the_only_one_and_it_answers(tmp_path: Path) -> None:
    await write_expert(tmp_path, "x.nmem")
    settings = settings_of(tmp_path, domain="python")
    assert await load_pretrained(settings) == (PYTHON,)
    memories = open_local(settings)
    answer = await memories.infer(PYTHON, "Can a tuple be changed?", InferOptions())
    await memories.close()
    assert answer.response == "A tuple cannot be changed."


@pytest.mark.parametrize("files", [(), ("a.nmem", "b.nmem")])
async def test_a_domain_without_its_one_file_is_refused(files: tuple[str, ...], tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(InvalidInput, match=f"{len(files)} memory files"):
        await load_pretrained(settings_of(tmp_path, domain="python"))
