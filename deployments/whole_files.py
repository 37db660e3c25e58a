"""Files that commands write whole and read in pieces."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from memory_core.errors import InvalidInput
from memory_core.storage.archive import signed_archive
from memory_core.storage.signing import SigningKey

_PIECE_BYTES: Final = 1 << 18


async def write_whole(chunks: AsyncIterator[bytes], to: Path) -> int:
    """Write beside the target and give the file its name when it is complete; its size in bytes."""
    beside = to.with_name(f".{to.name}.{os.getpid()}")
    size_bytes = 0
    try:
        with beside.open("wb") as file:
            async for chunk in chunks:
                size_bytes += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(to)
    except OSError as error:
        raise InvalidInput(f"{to} cannot be written ({type(error).__name__}).", hint="Choose another file.") from error
    finally:
        beside.unlink(missing_ok=True)
    return size_bytes


def read_signing_key(file: Path) -> SigningKey:
    """The private key that `neural-memory keys signing` wrote; InvalidInput when it cannot be read."""
    try:
        return SigningKey.from_pem(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read ({type(error).__name__}).", hint="Name the key's file.") from error


def maybe_signed(archive: AsyncIterator[bytes], key_file: Path | None) -> AsyncIterator[bytes]:
    """A `.nmem` file in pieces, signed when there is a key for it."""
    return archive if key_file is None else signed_archive(archive, read_signing_key(key_file))


def write_signing_key(key: SigningKey, to: Path) -> None:
    """Write a private key where nothing is yet, for its owner's eyes only; InvalidInput when that cannot be."""
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(
            f"{to} cannot be made ({type(error).__name__}).", hint="Choose a new file; keys are never overwritten."
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.pem())


async def file_pieces(file: Path) -> AsyncIterator[bytes]:
    """The bytes of a file."""
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece
