"""Signed archives: who made them can be told, and nothing of them can be changed."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.whole_files import read_signing_key, write_signing_key
from memory_core.config import MemoryConfig
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import InvalidInput
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.results import Observation, ObserveOptions
from memory_core.storage.archive import ArchiveHead, Member, signed_archive, write_archive
from memory_core.storage.documents import canonical_json
from memory_core.storage.ram_store import RamStore
from memory_core.storage.signing import SigningKey, parse_signer
from memory_core.testing.small_memory import tiny_config

KEY = SigningKey.create()
DATA = b"a" * 700
HEAD = ArchiveHead(
    memory="m",
    tag="v1",
    description="",
    config=tiny_config().to_dict(),
    facts={"seq": 1},
    members=(Member("alpha", hashlib.sha256(DATA).hexdigest(), len(DATA)),),
)


async def joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def pieces(data: bytes, size: int = 300) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def archive(head: ArchiveHead) -> bytes:
    async def read(_: Member) -> bytes:
        return DATA

    return asyncio.run(joined(write_archive(head, read)))


@pytest.mark.parametrize("size", [100, 513, 100_000])
def test_a_signed_stream_is_the_archive_of_a_signed_manifest(size: int) -> None:
    signed = asyncio.run(joined(signed_archive(pieces(archive(HEAD), size), KEY)))
    assert signed == archive(HEAD.signed(KEY))
    assert ArchiveHead.unpack(HEAD.signed(KEY).pack()).signer == KEY.public


def test_a_manifest_without_a_signature_says_so() -> None:
    assert ArchiveHead.unpack(HEAD.pack()).signer is None


def test_a_signature_of_another_manifest_is_refused() -> None:
    taken = replace(HEAD, signature=replace(HEAD, memory="other").signed(KEY).signature)
    with pytest.raises(InvalidInput, match="signature"):
        ArchiveHead.unpack(taken.pack())


def test_a_changed_body_with_a_right_checksum_is_refused() -> None:
    envelope = json.loads(HEAD.signed(KEY).pack())
    envelope["body"]["memory"] = "other"
    envelope["sha256"] = hashlib.sha256(canonical_json(envelope["body"])).hexdigest()
    with pytest.raises(InvalidInput, match="signature"):
        ArchiveHead.unpack(json.dumps(envelope).encode())


@pytest.mark.parametrize(
    "signature",
    [{"key": "x", "value": "y"}, {"key": "0" * 64, "value": "0" * 128}, {"key": 3, "value": None}, {"key": "a"}, 7],
)
def test_what_is_no_signature_is_refused(signature: object) -> None:
    envelope = {**json.loads(HEAD.pack()), "signature": signature}
    with pytest.raises(InvalidInput):
        ArchiveHead.unpack(json.dumps(envelope).encode())


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b" + b"\0" * 600, archive(HEAD)[:400]])
def test_only_an_archive_can_be_signed(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(joined(signed_archive(pieces(data), KEY)))


class PickyBackend(LocalBackend):
    """A backend that imports what KEY signed."""

    _trusted_signers = frozenset({KEY.public})


async def test_only_files_of_trusted_signers_are_imported() -> None:
    encoders = LocalEncoderPool()
    backend = PickyBackend(RamStore("signing"), encoders)
    try:
        info = await encoders.describe(EncoderId("hash"))
        config = MemoryConfig(
            encoder=info.encoder_id, encoder_fingerprint=info.fingerprint, key_dim=info.key_dim, units=1024
        )
        await backend.create(MemoryName("m"), config)
        await backend.observe(MemoryName("m"), [Observation(text="Ada keeps bees.")], ObserveOptions())
        data = await joined((await backend.export(MemoryName("m"))).chunks)
        for refused in (pieces(data), signed_archive(pieces(data), SigningKey.create())):
            with pytest.raises(InvalidInput) as raised:
                await backend.import_memory(MemoryName("twin"), refused)
            assert raised.value.code == "ARCHIVE_NOT_TRUSTED"
        result = await backend.import_memory(MemoryName("twin"), signed_archive(pieces(data), KEY))
        assert result.observation_count == 1
    finally:
        await backend.close()
        encoders.close()


def test_a_key_is_kept_in_a_file_of_its_owner_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "signing.pem"
    write_signing_key(KEY, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_signing_key(file).public == KEY.public
    with pytest.raises(InvalidInput):
        write_signing_key(SigningKey.create(), file)
    assert read_signing_key(file).public == KEY.public


def test_a_private_key_is_not_shown_and_another_file_is_no_key(tmp_path: Path) -> None:
    assert KEY.pem().decode().splitlines()[1] not in repr(KEY)
    (tmp_path / "x").write_text("not a key")
    with pytest.raises(InvalidInput, match="Ed25519"):
        read_signing_key(tmp_path / "x")
    with pytest.raises(InvalidInput):
        parse_signer("abc")
