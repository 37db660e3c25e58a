"""Memories that an image brings: files that become memories of the volume before the service starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from deployments.local import open_local
from deployments.settings import Settings
from memory_core.errors import Conflict, InvalidInput
from memory_core.ids import MemoryName, parse_memory_name

_SUFFIX: Final = ".nmem"
_PIECE_BYTES: Final = 1 << 18


async def load_pretrained(settings: Settings) -> tuple[MemoryName, ...]:
    """The memories that were made now; one that the volume has already stays as it is.

    A file is named for its memory; DOMAIN names the only one. InvalidInput when there is no file, or several for one
    name.
    """
    files = sorted(settings.pretrained_path.glob(f"*{_SUFFIX}"))
    if not files or (settings.domain is not None and len(files) > 1):
        raise InvalidInput(
            f"{settings.pretrained_path} holds {len(files)} memory files.",
            code="NO_PRETRAINED",
            hint="Put one NAME.nmem there for PRETRAINED=true (several without DOMAIN): neural-memory export",
        )
    memories = open_local(settings)
    made = []
    try:
        for file in files:
            name = parse_memory_name(settings.domain or file.stem)
            try:
                await memories.import_memory(name, _pieces(file))
            except Conflict:
                continue
            made.append(name)
    finally:
        await memories.close()
    return tuple(made)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece
