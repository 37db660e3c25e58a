"""The storage part of both backends, over whoever keeps the volume; free of torch and of stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import Conflict
from memory_core.ids import EncoderId, MemoryName, Tag
from memory_core.storage.archive import ArchiveHead, Member, read_archive, write_archive
from memory_core.storage_results import Export, ExportFormat, ImportResult

ARCHIVE_BYTES_MAX: Final = 16 << 30


class VolumeStorage:
    """StorageBackend by the methods of ``memory_core.volume.Volume``, called wherever that is."""

    _encoders: EncoderPool

    async def _ask_volume(self, method: str, *args: Any) -> Any:
        """Call a method of the volume."""
        raise NotImplementedError

    async def _export_current(self, name: MemoryName) -> ArchiveHead:
        """Let the owner of a memory store its state as it is now."""
        raise NotImplementedError

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """See StorageBackend."""
        head = await (self._export_current(name) if tag is None else self._ask_volume("export_head", name, tag))
        if form == "nmem":
            return Export(size_bytes=head.size_bytes, chunks=write_archive(head, self._export_member))
        lines = await self._ask_volume("export_lines", head)
        return Export(size_bytes=len(lines), chunks=_one(lines))

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """See StorageBackend. Whatever was stored of a refused archive is garbage that ``collect_garbage`` removes."""

        async def admit(head: ArchiveHead) -> None:
            await self._require_served(name, head)
            await self._ask_volume("require_free", name)

        head = await read_archive(archive, ARCHIVE_BYTES_MAX, admit, self._import_member)
        result: ImportResult = await self._ask_volume("import_memory", name, head)
        return result

    async def _export_member(self, member: Member) -> bytes:
        data: bytes = await self._ask_volume("export_member", member)
        return data

    async def _import_member(self, member: Member, data: bytes) -> None:
        await self._ask_volume("import_member", member, data)

    async def _require_served(self, name: MemoryName, head: ArchiveHead) -> None:
        served = await self._encoders.describe(EncoderId(head.config["encoder"]))
        if (served.key_dim, served.fingerprint) != (head.config["key_dim"], head.config["encoder_fingerprint"]):
            raise Conflict(
                f"The archive was made with another version of encoder {ascii(head.config['encoder'])}.",
                code="ENCODER_MISMATCH",
                hint="Serve the encoder it was made with: keys of another one mean nothing to it.",
                memory=name,
            )


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
