"""Archives from strangers: every way that a tar can lie is refused before anything exists."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from memory_core.errors import InvalidInput, NeuralMemoryError, TooLarge
from memory_core.storage.archive import ArchiveHead, ArchiveReader, Member, write_archive
from memory_core.storage.documents import canonical_json
from memory_core.testing.small_memory import tiny_config

DATA = {"alpha": b"a" * 700, "beta": b""}


def member(group: str) -> Member:
    return Member(group, hashlib.sha256(DATA[group]).hexdigest(), len(DATA[group]))


HEAD = ArchiveHead(
    memory="m",
    tag="v1",
    description="",
    config=tiny_config().to_dict(),
    facts={"seq": 1},
    members=(member("alpha"), member("beta")),
)


def whole(head: ArchiveHead = HEAD) -> bytes:
    async def read(item: Member) -> bytes:
        return DATA[item.group]

    async def collect(chunks: AsyncIterator[bytes]) -> bytes:
        return b"".join([chunk async for chunk in chunks])

    return asyncio.run(collect(write_archive(head, read)))


def entry(path: str, data: bytes = b"", **fields: Any) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + b"\0" * (-len(data) % 512)


def archive(*entries: bytes) -> bytes:
    return b"".join(entries) + b"\0" * 1024


MANIFEST = entry("manifest.json", HEAD.pack())
ALPHA = entry("blobs/alpha.safetensors", DATA["alpha"])
BETA = entry("blobs/beta.safetensors", DATA["beta"])


def read(data: bytes, piece: int = 512, size_bytes_max: int = 1 << 20) -> dict[str, bytes]:
    reader = ArchiveReader(size_bytes_max)
    found: dict[str, bytes] = {}
    for start in range(0, len(data), piece):
        found |= {item.group: content for item, content in reader.feed(data[start : start + piece])}
    assert reader.finish() == HEAD
    return found


@pytest.mark.parametrize("piece", [1, 511, 100_000])
def test_an_archive_is_read_back_whatever_the_size_of_its_pieces(piece: int) -> None:
    assert read(whole(), piece) == DATA
    assert len(whole()) == HEAD.size_bytes


def test_an_archive_is_a_plain_tar() -> None:
    with tarfile.open(fileobj=io.BytesIO(whole())) as opened:
        assert opened.getnames() == ["manifest.json", "blobs/alpha.safetensors", "blobs/beta.safetensors"]
        assert json.load(opened.extractfile("manifest.json"))["body"]["memory"] == "m"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (archive(MANIFEST, ALPHA, ALPHA, BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, ALPHA, BETA, MANIFEST), "ARCHIVE_INVALID"),
        (archive(ALPHA, MANIFEST, BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("../alpha.safetensors", DATA["alpha"]), BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("/etc/passwd", DATA["alpha"]), BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("blobs/alpha.safetensors", type=tarfile.SYMTYPE, linkname="/etc")), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("blobs/alpha.safetensors", type=tarfile.LNKTYPE, linkname="x")), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("blobs", type=tarfile.DIRTYPE), ALPHA, BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("x", type=tarfile.XHDTYPE), ALPHA, BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("blobs/alpha.safetensors", DATA["alpha"] + b"more"), BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, entry("blobs/alpha.safetensors", b"b" * 700), BETA), "ARCHIVE_INVALID"),
        (archive(MANIFEST, ALPHA), "ARCHIVE_TRUNCATED"),
        (archive(MANIFEST, ALPHA, BETA) + b"more", "ARCHIVE_INVALID"),
        (whole()[:-600], "ARCHIVE_TRUNCATED"),
        (whole()[:900], "ARCHIVE_TRUNCATED"),
        (b"", "ARCHIVE_TRUNCATED"),
        (b"\x1f\x8b\x08" + b"\0" * 600, "ARCHIVE_INVALID"),
    ],
)
def test_an_archive_that_lies_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read(data)
    assert raised.value.code == code


def sealed(**changes: Any) -> bytes:
    body = {**json.loads(HEAD.pack())["body"], **changes}
    digest = hashlib.sha256(canonical_json(body)).hexdigest()
    return archive(entry("manifest.json", canonical_json({"sha256": digest, "body": body})), ALPHA, BETA)


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 2},
        {"kind": "head"},
        {"members": [{"group": "../x", "sha256": "0" * 64, "size_bytes": 0}]},
        {"members": [{"group": "alpha", "sha256": "0", "size_bytes": 0}]},
        {"members": [{"group": "alpha", "sha256": "0" * 64, "size_bytes": -1}]},
        {"members": 2 * [{"group": "a", "sha256": "0" * 64, "size_bytes": 0}]},
        {"members": 3},
        {"config": {"encoder": "x"}},
        {"config": {**HEAD.config, "units": 1 << 40}},
        {"facts": None},
    ],
)
def test_a_manifest_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read(sealed(**changes))


def test_declared_and_real_sizes_are_bounded_before_anything_is_kept() -> None:
    huge = replace(HEAD, members=(Member("alpha", "0" * 64, 1 << 40),))
    bombs = [
        archive(entry("manifest.json", huge.pack())),
        entry("manifest.json", size=(1 << 33) - 1),
        whole() + b"\0" * (1 << 20),
    ]
    for bomb in bombs:
        with pytest.raises(TooLarge):
            read(bomb)


@pytest.mark.parametrize("flipped", range(0, len(MANIFEST) * 8, 97))
def test_no_flipped_bit_is_believed(flipped: int) -> None:
    data = bytearray(whole())
    data[flipped // 8] ^= 1 << flipped % 8
    try:
        found = read(bytes(data))
    except NeuralMemoryError:
        return
    assert found == DATA
