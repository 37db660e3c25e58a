"""Volumes that earlier versions wrote are read; a reader that knows only docs/checkpoint-format.md agrees."""

import hashlib
import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from memory_core.errors import CorruptData
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.results import ObserveOptions
from memory_core.storage.documents import FORMAT_VERSION
from memory_core.storage.local_store import LocalStore
from memory_core.storage.open_store import open_store
from memory_core.testing.golden import EXPECTED, FORK, NAME, facts, write_golden
from memory_core.testing.small_memory import tiny_observations
from memory_core.writer import MemoryWriter

GOLDEN = Path(__file__).parents[2] / "golden" / f"format-{FORMAT_VERSION}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, since whoever opens a memory claims it."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "volume"))


@pytest.mark.parametrize("name", [NAME, FORK])
def test_a_volume_of_this_format_is_read(folder: Path, name: MemoryName) -> None:
    open_store(folder.as_uri())
    expected = json.loads((folder / EXPECTED).read_text())[name]
    found = facts(LocalStore(folder), name)
    if name == NAME:
        # A replay computes: another processor may round the last bit of a weight otherwise.
        expected.pop("weight_hash"), found.pop("weight_hash")
    assert found == expected


def test_versions_and_answers_of_the_volume_are_read(folder: Path) -> None:
    writer = MemoryWriter.open(LocalStore(folder), NAME)
    details = {"session": "s1", "domain": "notes", "occurred_at": "2026-01-01", "metadata": {"page": 1}}
    again = writer.observe(
        tiny_observations("The ferry to Hvar takes two hours.", **details), ObserveOptions(request_id=RequestId("r1"))
    )
    assert again.is_replayed_answer
    checkpoints = {item.tag: item for item in writer.list_checkpoints().checkpoints}
    assert {tag: item.has_momentum for tag, item in checkpoints.items()} == {"v1": True, "light": False}
    for tag, item in checkpoints.items():
        assert writer.restore(Tag(tag)).weight_hash == item.weight_hash


def test_the_writer_of_the_golden_volume_still_writes_the_same_keys(tmp_path: Path) -> None:
    write_golden(tmp_path / "volume")

    def shape(folder: Path) -> list[str]:
        """Keys without what is drawn at random or follows from content."""
        files = [file.relative_to(folder).parts for file in folder.rglob("*") if file.is_file()]
        parts = [path for path in files if path[0] != "lines"]  # a line's key holds the uid, encoded
        return sorted("/".join(part for part in path if len(part) not in {2, 32, 64}) for path in parts)

    assert shape(tmp_path / "volume") == shape(GOLDEN)


@pytest.mark.parametrize("kind", ["blobs", "checkpoints", "heads", "journal", "answers", "names"])
def test_a_flipped_bit_anywhere_is_noticed(folder: Path, kind: str) -> None:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and kind in str(file.relative_to(folder))]
    for file in files:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 4
        file.write_bytes(bytes(data))
    with pytest.raises(CorruptData):
        writer = MemoryWriter.open(LocalStore(folder), NAME)
        writer.list_checkpoints()
        writer.restore(Tag("v1"))


def test_a_reader_made_from_the_document_alone_agrees(folder: Path) -> None:
    uid = _body(folder / "names" / NAME)["uid"]
    memory = folder / "memories" / uid
    head = _body(max((memory / "heads").iterdir()))
    tensors = {group: load(_blob(folder, ref)) for group, ref in head["snapshot"]["blobs"].items()}
    (run,) = head["runs"]
    segments = sorted((memory / "journal" / f"{run['epoch']:010d}").iterdir())
    records = [
        record
        for segment in segments
        if int(segment.stem) >= run["first_segment"]
        for record in _records(segment.read_bytes())
    ]
    texts = [item["text"] for told, _ in records for item in told["observations"]]
    expected = json.loads((folder / EXPECTED).read_text())[NAME]
    known = head["snapshot"]["observation_count"] + sum(len(told["observations"]) for told, _ in records)
    assert (known, texts) == (expected["observation_count"], [item["text"] for item in expected["exemplars"]][2:])
    assert tensors["patterns"]["keys_uD"].shape == (head["snapshot"]["pattern_count"], head["config"]["key_dim"])
    assert all(abs(float(np.linalg.norm(keys_ND[0])) - 1) < 1e-6 for _, keys_ND in records)


def _body(file: Path) -> dict[str, Any]:
    document = json.loads(file.read_bytes())
    body: dict[str, Any] = document["body"]
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert hashlib.sha256(canonical.encode()).hexdigest() == document["sha256"]
    assert body["format_version"] == 1
    return body


def _blob(folder: Path, ref: dict[str, Any]) -> bytes:
    data = (folder / ref["key"]).read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (ref["sha256"], ref["size_bytes"])
    return data


def _records(data: bytes) -> list[tuple[dict[str, Any], Any]]:
    records = []
    while data:
        magic, size, _ = struct.unpack("<4sIQ", data[:16])
        assert (magic, zlib.crc32(data[:16])) == (b"NMJ1", struct.unpack("<I", data[16:20])[0])
        payload = data[20 : 20 + size]
        assert (zlib.crc32(payload), b"1JMN") == struct.unpack("<I4s", data[20 + size : 28 + size])
        data = data[28 + size :]
        while payload:
            head_size, keys_size = struct.unpack("<II", payload[:8])
            told = json.loads(payload[8 : 8 + head_size])
            keys = np.frombuffer(payload[8 + head_size : 8 + head_size + keys_size], dtype="<f4")
            records.append((told, keys.reshape(-1, told["key_dim"])))
            payload = payload[8 + head_size + keys_size :]
    return records
