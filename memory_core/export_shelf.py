"""Exports of a memory as it was at one instant, kept in RAM until they were fetched.

Nothing of them is stored: what a later ``forget`` removes must not lie in a blob that nobody names.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from memory_core.errors import Unavailable
from memory_core.storage.archive import Member
from memory_core.storage.blobs import TensorGroup, pack_group

_KEPT: Final = 2


class ExportShelf:
    """The newest exports of one memory. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[str, dict[str, bytes]] = OrderedDict()

    def put(self, weight_hash: str, groups: Mapping[str, TensorGroup]) -> tuple[Member, ...]:
        """Keep packed tensors, and say which files they are."""
        packed = {group: pack_group(tensors) for group, tensors in sorted(groups.items())}
        hashes = {group: hashlib.sha256(data).hexdigest() for group, data in packed.items()}
        with self._lock:
            self._files[weight_hash] = {hashes[group]: data for group, data in packed.items()}
            self._files.move_to_end(weight_hash)
            if len(self._files) > _KEPT:
                self._files.popitem(last=False)
        return tuple(Member(group, hashes[group], len(data)) for group, data in packed.items())

    def get(self, weight_hash: str, member: Member) -> bytes:
        """A file of an export; Unavailable when newer exports, or another process, took its place."""
        with self._lock:
            data = self._files.get(weight_hash, {}).get(member.sha256)
        if data is None:
            raise Unavailable(
                "The memory did not keep this export.", code="EXPORT_LOST", hint="Export it again.", retry_after_s=1.0
            )
        return data

    def drop(self, weight_hash: str) -> None:
        """The export was fetched."""
        with self._lock:
            self._files.pop(weight_hash, None)
