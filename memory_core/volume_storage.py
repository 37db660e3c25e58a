"""The storage part of both backends, over whoever keeps the volume; free of torch and of stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import Conflict
from memory_core.ids import EncoderId, MemoryName, Tag
from memory_core.storage.archive import ArchiveHead, Member, read_archive, write_archive
from memory_core.storage.signing import require_signer
from memory_core.storage_results import (
    CollectResult,
    Export,
    ExportFormat,
    ImportResult,
    PruneResult,
    RetentionPolicy,
    VerifyReport,
)
from memory_core.terms import MemoryTerms, TermsChange, Versions

ARCHIVE_BYTES_MAX: Final = 16 << 30


class VolumeStorage:
    """StorageBackend by the methods of ``memory_core.volume.Volume``, called wherever that is.

    trusted_signers: public keys one of which must have signed what is imported; empty for no such rule.
    """

    _encoders: EncoderPool
    _trusted_signers: frozenset[str] = frozenset()

    async def _ask_volume(self, method: str, *args: Any) -> Any:
        """Call a method of the volume."""
        raise NotImplementedError

    async def _ask_owner(self, name: MemoryName, method: str, *args: Any) -> Any:
        """Call a method of the writer of a memory."""
        raise NotImplementedError

    async def _tell_owner(self, name: MemoryName, method: str, *args: Any) -> Any:
        """Call a method of the writer of a memory that changes it."""
        raise NotImplementedError

    async def change(self, name: MemoryName, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """See MemoryBackend."""
        terms: MemoryTerms = await self._tell_owner(name, "change", change, only_if)
        return terms

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """See StorageBackend."""
        if tag is None and form == "jsonl":
            return _lines(await self._ask_owner(name, "export_lines"))
        if tag is None:
            current = await self._ask_owner(name, "export_head")
            return _archive(current, lambda member: self._ask_owner(name, "export_member", current, member))
        head = await self._ask_volume("export_head", name, tag)
        if form == "jsonl":
            return _lines(await self._ask_volume("export_lines", head))
        return _archive(head, lambda member: self._ask_volume("export_member", member))

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """See StorageBackend. Whatever was stored of a refused archive is garbage that ``collect_garbage`` removes."""

        async def admit(head: ArchiveHead) -> None:
            require_signer(head.signer, self._trusted_signers)
            await self._require_served(name, head)
            await self._ask_volume("require_free", name)

        head = await read_archive(archive, ARCHIVE_BYTES_MAX, admit, self._import_member)
        result: ImportResult = await self._ask_volume("import_memory", name, head)
        return result

    async def verify(self, name: MemoryName | None = None) -> VerifyReport:
        """See StorageBackend."""
        report: VerifyReport = await self._ask_volume("verify", name)
        return report

    async def delete_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        """See StorageBackend."""
        await self._ask_volume("delete_checkpoint", name, tag)

    async def retention(self, name: MemoryName) -> RetentionPolicy:
        """See StorageBackend."""
        policy: RetentionPolicy = await self._ask_volume("retention", name)
        return policy

    async def set_retention(self, name: MemoryName, policy: RetentionPolicy) -> RetentionPolicy:
        """See StorageBackend."""
        now: RetentionPolicy = await self._ask_volume("set_retention", name, policy)
        return now

    async def prune(
        self, name: MemoryName, *, policy: RetentionPolicy | None = None, is_dry_run: bool = False
    ) -> PruneResult:
        """See StorageBackend."""
        result: PruneResult = await self._ask_volume("prune", name, policy, is_dry_run)
        return result

    async def collect_garbage(self, *, grace_s: float = 3600.0, is_dry_run: bool = False) -> CollectResult:
        """See StorageBackend."""
        result: CollectResult = await self._ask_volume("collect_garbage", grace_s, is_dry_run)
        return result

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


def _archive(head: ArchiveHead, read: Callable[[Member], Awaitable[bytes]]) -> Export:
    return Export(size_bytes=head.size_bytes, chunks=write_archive(head, read))


def _lines(data: bytes) -> Export:
    return Export(size_bytes=len(data), chunks=_one(data))


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
