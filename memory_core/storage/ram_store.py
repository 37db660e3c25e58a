"""Objects in this process's RAM, for tests and notebooks: ``memory://NAME``. Gone when the process ends."""

from __future__ import annotations

import threading
import time
from typing import Final

from memory_core.storage.object_log import ObjectLog
from memory_core.storage.object_store import ListedObject, object_not_found


class RamVolume:
    """The objects of one volume, shared by every store opened on its name; a write counter stamps them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, tuple[bytes, int, float]] = {}
        self.write_count = 0

    def write(self, key: str, data: bytes) -> None:
        """Store under the next stamp; the caller holds the lock."""
        self.write_count += 1
        self.objects[key] = (bytes(data), self.write_count, time.time())


_VOLUMES: Final[dict[str, RamVolume]] = {}


class RamStore:
    """ObjectStore over a dict; the volume's lock makes every operation atomic."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._volume = _VOLUMES.setdefault(name, RamVolume())

    @property
    def url(self) -> str:
        """``memory://`` and the volume's name."""
        return f"memory://{self._name}"

    @property
    def segments_grow(self) -> bool:
        """See ObjectStore."""
        return False

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        found = self._volume.objects.get(key)
        if found is None:
            raise object_not_found(key)
        return found[0]

    def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        with self._volume.lock:
            self._volume.write(key, data)

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """See ObjectStore."""
        with self._volume.lock:
            if key in self._volume.objects:
                return self._volume.objects[key][0] == data
            self._volume.write(key, data)
            return True

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        return key in self._volume.objects

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with self._volume.lock:
            self._volume.objects.pop(key, None)

    def list_objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> list[ListedObject]:
        """See ObjectStore."""
        with self._volume.lock:
            found = [
                ListedObject(key, str(stamp), len(data), modified_s)
                for key, (data, stamp, modified_s) in self._volume.objects.items()
                if key.startswith(prefix) and key > start_after
            ]
        return sorted(found, key=lambda item: item.key)[:limit]

    def sync(self, key: str) -> None:
        """See ObjectStore; nothing here is more durable than this process."""

    def sweep_temporary(self, older_than_s: float, *, is_dry_run: bool = False) -> int:
        """See ObjectStore; an object is written whole or not at all."""
        return 0

    def open_log(self, folder: str, first_segment: int) -> ObjectLog:
        """One object per frame."""
        return ObjectLog(self, folder, first_segment)
