"""Objects on any other fsspec file system, for one writer only.

Its create-if-absent is check-then-write, so two writers at once could both win a claim. ``open_store`` refuses such
a volume unless the operator promises a single writer.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import fsspec

from memory_core.storage.object_log import ObjectLog
from memory_core.storage.object_store import ListedObject, storage_errors, write_errors


class AnyStore:
    """ObjectStore over an fsspec file system without atomic create."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        fs, root = fsspec.core.url_to_fs(url, **options)
        self._fs: Any = fs
        self._root: str = root.rstrip("/")

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        return self._url

    @property
    def segments_grow(self) -> bool:
        """See ObjectStore."""
        return False

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with storage_errors("read", key):
            return bytes(self._fs.cat_file(self._path(key)))

    def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        path = self._path(key)
        with write_errors("write", key):
            self._fs.makedirs(self._fs._parent(path), exist_ok=True)
            self._fs.pipe_file(path, data)

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """See ObjectStore; not atomic."""
        if self.exists(key):
            return self.get(key) == data
        self.put(key, data)
        return True

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        with storage_errors("look for", key):
            self._fs.invalidate_cache()
            return bool(self._fs.isfile(self._path(key)))

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with write_errors("delete", key):
            if self.exists(key):
                self._fs.rm_file(self._path(key))

    def list_objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> list[ListedObject]:
        """See ObjectStore."""
        folder, _, _ = prefix.rpartition("/")
        with storage_errors("list", prefix):
            self._fs.invalidate_cache()
            paths = self._fs.find(self._path(folder) if folder else self._root, detail=True)
        cut = len(self._root) + 1
        found = [_listed(path[cut:], info) for path, info in paths.items()]
        wanted = [item for item in found if item.key.startswith(prefix) and item.key > start_after]
        return sorted(wanted, key=lambda item: item.key)[:limit]

    def sync(self, key: str) -> None:
        """See ObjectStore; what can be read is durable."""

    def sweep_temporary(self, older_than_s: float, *, is_dry_run: bool = False) -> int:
        """See ObjectStore; an object is written whole or not at all."""
        return 0

    def open_log(self, folder: str, first_segment: int) -> ObjectLog:
        """One object per frame."""
        return ObjectLog(self, folder, first_segment)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


def _listed(key: str, info: dict[str, Any]) -> ListedObject:
    return ListedObject(key, _stamp(info), int(info.get("size") or 0), _modified_s(info))


def _modified_s(info: dict[str, Any]) -> float:
    """Now, when the file system does not tell: what has no age is never old enough to be garbage."""
    for field in ("mtime", "LastModified", "created"):
        value = info.get(field)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, datetime):
            return value.timestamp()
    return time.time()


def _stamp(info: dict[str, Any]) -> str:
    changed = [info.get(field) for field in ("ETag", "mtime", "created", "LastModified", "size")]
    return "-".join(str(value) for value in changed if value is not None)
