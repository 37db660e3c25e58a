"""The journal's log on stores whose objects cannot grow: each frame is one object."""

from __future__ import annotations

from typing import Protocol

from memory_core.errors import Internal
from memory_core.storage.object_store import segment_key


class CreatesObjects(Protocol):
    """The one store operation the log needs."""

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """See ObjectStore."""
        ...


class ObjectLog:
    """LogAppender that writes frame after frame as ``folder/<segment>.log``."""

    def __init__(self, store: CreatesObjects, folder: str, first_segment: int) -> None:
        self._store = store
        self._folder = folder
        self._next = first_segment

    @property
    def next_segment(self) -> int:
        """See LogAppender."""
        return self._next

    def append(self, frame: bytes) -> None:
        """See LogAppender. A taken key would mean two writers in one epoch, which claims make impossible."""
        key = segment_key(self._folder, self._next)
        if not self._store.create_if_absent(key, frame):
            raise Internal(f"The journal segment {ascii(key)} exists already.", key=key)
        self._next += 1

    def close(self) -> None:
        """See LogAppender."""
