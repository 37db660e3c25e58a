"""One memory as one file, ``.nmem``: a tar of ``manifest.json`` and one safetensors file per group of tensors.

Equal states give equal bytes: members in name order, no times, no owners. Knows neither torch nor stores, so that a
service's ingress can write and read archives while they stream. ``docs/checkpoint-format.md`` describes the file.

What is read comes from strangers: plain files only, under the names that the manifest gives, once each, in bounded
sizes, each with the hash the manifest says, and a signature, if there is one, that holds. Anything else is
InvalidInput or TooLarge.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from memory_core.config import MemoryConfig
from memory_core.errors import InvalidInput, NeuralMemoryError, TooLarge
from memory_core.storage.documents import canonical_json
from memory_core.storage.signing import Signature, SigningKey

ARCHIVE_VERSION: Final = 1
MANIFEST_NAME: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 16 << 20
MEMBERS_MAX: Final = 64
CHUNK_BYTES: Final = 1 << 18
_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = b"\0" * (2 * _BLOCK)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_GROUP: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive: the tensors of one group."""

    group: str
    sha256: str
    size_bytes: int

    @property
    def path(self) -> str:
        """Its name in the tar."""
        return f"blobs/{self.group}.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveHead:
    """What the manifest says. ``facts``: the snapshot without its blobs; ``tag`` None: it was the state of that moment.

    ``members`` None stands for the state that ``config`` creates.
    """

    memory: str
    tag: str | None
    description: str
    config: dict[str, Any]
    facts: dict[str, Any]
    members: tuple[Member, ...] | None
    signature: Signature | None = None

    @property
    def signer(self) -> str | None:
        """The public key of who signed it."""
        return None if self.signature is None else self.signature.key

    def signed(self, key: SigningKey) -> ArchiveHead:
        """The same, signed."""
        return replace(self, signature=key.sign(self._body()))

    @property
    def files(self) -> tuple[Member, ...]:
        """The members, none for a memory that has learned nothing."""
        return self.members or ()

    @property
    def size_bytes(self) -> int:
        """Of the whole archive."""
        sizes = [len(self.pack()), *(member.size_bytes for member in self.files)]
        return sum(_BLOCK + size + _padding(size) for size in sizes) + len(_END)

    def pack(self) -> bytes:
        """The manifest's bytes."""
        body = self._body()
        digest = hashlib.sha256(body).hexdigest()
        sealed = b"" if self.signature is None else b'"signature":' + canonical_json(asdict(self.signature)) + b","
        return b'{"sha256":"' + digest.encode() + b'",' + sealed + b'"body":' + body + b"}\n"

    def _body(self) -> bytes:
        fields = {**asdict(self), "kind": "nmem", "format_version": ARCHIVE_VERSION}
        del fields["signature"]
        return canonical_json(fields)

    @classmethod
    def unpack(cls, data: bytes) -> ArchiveHead:
        """Inverse of ``pack``; InvalidInput when it is damaged, foreign or of another version."""
        try:
            envelope = json.loads(data)
            body, raw_signature = envelope["body"], envelope.get("signature")
            message = canonical_json(body)
            is_intact = hashlib.sha256(message).hexdigest() == envelope["sha256"]
            kind, version = body["kind"], body["format_version"]
            signature = None if raw_signature is None else Signature(**raw_signature)
            is_signed = signature is None or signature.covers(message)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _invalid(MANIFEST_NAME, "is not the manifest of a .nmem archive") from error
        if not is_intact or not is_signed:
            raise _invalid(MANIFEST_NAME, "does not match its " + ("signature" if is_intact else "checksum"))
        if kind != "nmem" or version != ARCHIVE_VERSION:
            raise InvalidInput(
                f"The archive has format {ascii(version)}; this version reads {ARCHIVE_VERSION}.",
                code="ARCHIVE_VERSION",
                hint="Import it with the version of neural-memory that wrote it, or a newer one.",
            )
        return replace(cls._parse(body), signature=signature)

    @classmethod
    def _parse(cls, body: dict[str, Any]) -> ArchiveHead:
        try:
            head = cls(
                memory=str(body["memory"]),
                tag=body["tag"],
                description=str(body["description"]),
                config=MemoryConfig.from_dict(body["config"]).to_dict(),
                facts=dict(body["facts"]),
                members=None if body["members"] is None else tuple(Member(**raw) for raw in body["members"]),
            )
            is_sound = all(map(_is_sound, head.files)) and len({item.group for item in head.files}) == len(head.files)
        except (KeyError, TypeError, ValueError, AttributeError, NeuralMemoryError) as error:
            raise _invalid(MANIFEST_NAME, "lacks a field, or has one that means nothing") from error
        if not is_sound or len(head.files) > MEMBERS_MAX:
            raise _invalid(MANIFEST_NAME, "names files that cannot be")
        return head


async def write_archive(head: ArchiveHead, read: Callable[[Member], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    """The archive in pieces; ``read`` gives the checked bytes of a member, one at a time."""
    yield _manifest_entry(head)
    for member in head.files:
        data = await read(member)
        yield _tar_header(member.path, member.size_bytes)
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]
        yield b"\0" * _padding(len(data))
    yield _END


class ArchiveReader:
    """Takes an archive apart as its bytes arrive; holds one member at a time. Call ``finish`` after the last byte."""

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._buffer = bytearray()
        self._seen_bytes = 0
        self._open: tuple[str, int] | None = None
        self._is_ended = False
        self._missing: dict[str, Member] = {}
        self.head: ArchiveHead | None = None

    def feed(self, data: bytes) -> Iterator[tuple[Member, bytes]]:
        """The members that these bytes complete, checked. The manifest comes first, as ``head``."""
        self._seen_bytes += len(data)
        if self._seen_bytes > self._size_bytes_max:
            raise _too_large(self._size_bytes_max)
        self._buffer += data
        while (part := self._next_part()) is not None:
            found = self._take(*part)
            if found is not None:
                yield found

    def finish(self) -> ArchiveHead:
        """The manifest; InvalidInput when the archive is not whole."""
        if not self._is_ended or self.head is None or self._missing:
            raise _truncated()
        return self.head

    def _next_part(self) -> tuple[str, bytes] | None:
        """A whole file, when its bytes are there."""
        while not self._is_ended:
            if self._open is None and not self._open_next():
                return None
            if self._open is None:
                continue
            path, size = self._open
            if len(self._buffer) < size + _padding(size):
                return None
            data = bytes(self._buffer[:size])
            del self._buffer[: size + _padding(size)]
            self._open = None
            return path, data
        if any(self._buffer):
            raise _invalid("the end", "is followed by more")
        self._buffer.clear()
        return None

    def _open_next(self) -> bool:
        """Read a header; False when more bytes are needed."""
        if len(self._buffer) < _BLOCK:
            return False
        block = bytes(self._buffer[:_BLOCK])
        if not any(block):
            if len(self._buffer) < len(_END):
                return False
            self._is_ended = True
            return True
        del self._buffer[:_BLOCK]
        self._open = self._admit(_parse_header(block))
        return True

    def _admit(self, info: tarfile.TarInfo) -> tuple[str, int]:
        if info.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            raise _invalid(info.name, "is not a plain file")
        if self.head is None:
            if info.name != MANIFEST_NAME:
                raise _invalid(info.name, f"comes before {MANIFEST_NAME}")
            if info.size > MANIFEST_BYTES_MAX:
                raise _too_large(MANIFEST_BYTES_MAX)
            return info.name, info.size
        member = self._missing.get(info.name)
        if member is None:
            raise _invalid(info.name, "is not named by the manifest, or comes twice")
        if info.size != member.size_bytes:
            raise _invalid(info.name, "has another size than its manifest says")
        return info.name, info.size

    def _take(self, path: str, data: bytes) -> tuple[Member, bytes] | None:
        if self.head is None:
            head = ArchiveHead.unpack(data)
            if head.size_bytes > self._size_bytes_max:
                raise _too_large(self._size_bytes_max)
            self.head, self._missing = head, {member.path: member for member in head.files}
            return None
        member = self._missing.pop(path)
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise _invalid(path, "does not match its hash")
        return member, data


async def read_archive(
    archive: AsyncIterator[bytes],
    size_bytes_max: int,
    on_head: Callable[[ArchiveHead], Awaitable[None]],
    on_member: Callable[[Member, bytes], Awaitable[None]],
) -> ArchiveHead:
    """Read and check a whole archive; ``on_head`` may refuse it before the first member is taken."""
    reader = ArchiveReader(size_bytes_max)
    is_admitted = False
    async for chunk in archive:
        for start in range(0, len(chunk), CHUNK_BYTES):
            found = list(reader.feed(chunk[start : start + CHUNK_BYTES]))
            if reader.head is not None and not is_admitted:
                await on_head(reader.head)
                is_admitted = True
            for member, data in found:
                await on_member(member, data)
    return reader.finish()


async def signed_archive(archive: AsyncIterator[bytes], key: SigningKey) -> AsyncIterator[bytes]:
    """The same archive with its manifest signed; InvalidInput when it does not begin with a manifest."""
    start = bytearray()
    is_signed = False
    async for chunk in archive:
        if is_signed:
            yield chunk
            continue
        start += chunk
        end = _manifest_end(start)
        if end is None or len(start) < end:
            continue
        yield _manifest_entry(ArchiveHead.unpack(bytes(start[_BLOCK:end]).rstrip(b"\0")).signed(key))
        yield bytes(start[end:])
        is_signed = True
    if not is_signed:
        raise _truncated()


def _manifest_entry(head: ArchiveHead) -> bytes:
    manifest = head.pack()
    return _tar_header(MANIFEST_NAME, len(manifest)) + manifest + b"\0" * _padding(len(manifest))


def _manifest_end(start: bytearray) -> int | None:
    """Where the first file ends, in bytes from the start; None while its header is not whole."""
    if len(start) < _BLOCK:
        return None
    info = _parse_header(bytes(start[:_BLOCK]))
    if info.name != MANIFEST_NAME:
        raise _invalid(info.name, f"comes before {MANIFEST_NAME}")
    if info.size > MANIFEST_BYTES_MAX:
        raise _too_large(MANIFEST_BYTES_MAX)
    return _BLOCK + info.size + _padding(info.size)


def _truncated() -> InvalidInput:
    return InvalidInput(
        "The archive ends before all that its manifest names.",
        code="ARCHIVE_TRUNCATED",
        hint="Copy or export it again.",
    )


def _tar_header(path: str, size_bytes: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size_bytes
    return info.tobuf(tarfile.USTAR_FORMAT)


def _parse_header(block: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise InvalidInput(
            "The file is not a .nmem archive, or is damaged.",
            code="ARCHIVE_INVALID",
            hint="Export it again with: neural-memory export NAME -o FILE.nmem",
        ) from error
    if info.size < 0:
        raise _invalid(info.name, "has a size that cannot be")
    return info


def _padding(size_bytes: int) -> int:
    return -size_bytes % _BLOCK


def _is_sound(member: Member) -> bool:
    return (
        isinstance(member.size_bytes, int)
        and member.size_bytes >= 0
        and _SHA256.fullmatch(member.sha256) is not None
        and _GROUP.fullmatch(member.group) is not None
    )


def _invalid(path: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"In the archive {ascii(path[:128])} {what}.",
        code="ARCHIVE_INVALID",
        hint="Copy or export it again; nothing of it was imported.",
        member=path[:128],
    )


def _too_large(size_bytes_max: int) -> TooLarge:
    return TooLarge(
        f"The archive is over {size_bytes_max} bytes.",
        code="ARCHIVE_TOO_LARGE",
        hint="Raise MAX_IMPORT_BYTES if it is yours.",
    )
