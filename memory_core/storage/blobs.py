"""Groups of tensors as safetensors bytes, checked by sha256 whenever they are read.

Shared blobs are named by their hash: equal tensors are stored once in a volume, and a fork only names them. Private
parts lie under the one head that reaches them, so the writer may delete them without asking who else does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from memory_core.errors import CorruptData, NotFound
from memory_core.ids import BlobId
from memory_core.storage import keys
from memory_core.storage.object_store import ObjectStore

TensorGroup = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where bytes lie and what they must hash to."""

    key: str
    sha256: str
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> BlobRef:
        """Rebuild from ``to_dict``."""
        return cls(key=raw["key"], sha256=raw["sha256"], size_bytes=raw["size_bytes"])

    @property
    def is_shared(self) -> bool:
        """True when the key follows from the content, so that any manifest may name it."""
        return self.key == keys.blob(BlobId(self.sha256))


def shared_ref(data: bytes) -> BlobRef:
    """Where bytes that any manifest may name belong."""
    blob_id = BlobId(hashlib.sha256(data).hexdigest())
    return BlobRef(keys.blob(blob_id), blob_id, len(data))


def put_shared(store: ObjectStore, ref: BlobRef, data: bytes) -> None:
    """Store bytes by content; writes nothing when the volume has them. The key must be pinned: see ``pins``."""
    if not store.exists(ref.key):
        store.put(ref.key, data)


def put_private(store: ObjectStore, key: str, data: bytes) -> BlobRef:
    """Store bytes under a key that only one head names."""
    store.put(key, data)
    return BlobRef(key, hashlib.sha256(data).hexdigest(), len(data))


def pack_group(group: TensorGroup) -> bytes:
    """Safetensors bytes of a group; equal tensors give equal bytes."""
    return save(dict(group))


def get_bytes(store: ObjectStore, ref: BlobRef) -> bytes:
    """Read and check; CorruptData when the bytes are gone, cut or changed."""
    try:
        data = store.get(ref.key)
    except NotFound as error:
        raise _damaged(ref, "is missing") from error
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise _damaged(ref, "does not match its hash")
    return data


def get_group(store: ObjectStore, ref: BlobRef) -> dict[str, torch.Tensor]:
    """Read, check and unpack a group of tensors."""
    try:
        return load(get_bytes(store, ref))
    except SafetensorError as error:
        raise _damaged(ref, "is not a safetensors file") from error


def _damaged(ref: BlobRef, what: str) -> CorruptData:
    return CorruptData(
        f"The stored blob {ascii(ref.key)} {what}.",
        hint="Restore another checkpoint, or bring the object back from a backup of the volume.",
        key=ref.key,
    )
