"""Files that commands write whole and read in pieces."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from memory_core.errors import InvalidInput

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


async def file_pieces(file: Path) -> AsyncIterator[bytes]:
    """The bytes of a file."""
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece
