"""Objects as files of one folder tree, durable against power loss.

Publish: write a temporary file, fsync it, give it its name (rename, or hard link for create-if-absent, which is
exclusive and never shows half an object), fsync the folder. Temporary files live in ``tmp/`` so that no listing
sees them. The file system must support hard links and fsync (ext4, xfs, btrfs, apfs, NFS do).
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from memory_core.storage.object_store import ListedObject, segment_key, storage_errors, write_errors

_TEMPORARY = "tmp"


class LocalStore:
    """ObjectStore over a folder; ``file://`` URLs."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        with storage_errors("open", str(self._root)):
            _make_folder(self._root / _TEMPORARY)

    @property
    def url(self) -> str:
        """``file://`` and the folder."""
        return self._root.as_uri()

    @property
    def segments_grow(self) -> bool:
        """See ObjectStore."""
        return True

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with storage_errors("read", key):
            return self._path(key).read_bytes()

    def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        with write_errors("write", key):
            temporary = self._write_temporary(data)
            _place(temporary, self._path(key), os.replace)

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """See ObjectStore."""
        target = self._path(key)
        with write_errors("create", key):
            temporary = self._write_temporary(data)
            try:
                _place(temporary, target, os.link)
            except FileExistsError:
                # A network file system may repeat a link whose answer was lost: then the object there is ours.
                return target.read_bytes() == data
            finally:
                temporary.unlink(missing_ok=True)
        return True

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        with storage_errors("look for", key):
            return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """See ObjectStore. Folders left empty go too."""
        path = self._path(key)
        with storage_errors("delete", key):
            path.unlink(missing_ok=True)
            self._remove_empty_folders(path.parent)

    def list_objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> list[ListedObject]:
        """See ObjectStore."""
        folder, _, _ = prefix.rpartition("/")
        with storage_errors("list", prefix):
            found = [item for item in self._walk(folder) if item.key.startswith(prefix) and item.key > start_after]
        return sorted(found, key=lambda item: item.key)[:limit]

    def sync(self, key: str) -> None:
        """See ObjectStore."""
        with storage_errors("sync", key):
            descriptor = os.open(self._path(key), os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def sweep_temporary(self, older_than_s: float, *, is_dry_run: bool = False) -> int:
        """See ObjectStore."""
        limit_s = time.time() - older_than_s
        with storage_errors("sweep", _TEMPORARY):
            entries = list(os.scandir(self._root / _TEMPORARY))
            old = [entry for entry in entries if entry.is_file() and entry.stat().st_mtime <= limit_s]
            for entry in old if not is_dry_run else []:
                Path(entry.path).unlink(missing_ok=True)
        return len(old)

    def open_log(self, folder: str, first_segment: int) -> LocalLog:
        """One file that grows: an append costs one write and one fdatasync."""
        key = segment_key(folder, first_segment)
        return LocalLog(self._path(key), key, first_segment)

    def _path(self, key: str) -> Path:
        return self._root / key

    def _write_temporary(self, data: bytes) -> Path:
        temporary = self._root / _TEMPORARY / uuid.uuid4().hex
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # On a full disk a part of an object would take the room that the next small one needs.
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _walk(self, folder: str) -> list[ListedObject]:
        found: list[ListedObject] = []
        pending = [folder]
        while pending:
            current = pending.pop()
            try:
                entries = list(os.scandir(self._root / current if current else self._root))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                key = f"{current}/{entry.name}" if current else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(key)
                else:
                    found.extend(_listed(entry, key))
        return [item for item in found if not item.key.startswith(f"{_TEMPORARY}/")]

    def _remove_empty_folders(self, folder: Path) -> None:
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


class LocalLog:
    """LogAppender over one growing file, created at the first append."""

    def __init__(self, path: Path, key: str, segment: int) -> None:
        self._path = path
        self._key = key
        self._segment = segment
        self._descriptor: int | None = None

    @property
    def next_segment(self) -> int:
        """See LogAppender."""
        return self._segment if self._descriptor is None else self._segment + 1

    def append(self, frame: bytes) -> None:
        """See LogAppender."""
        with write_errors("append to", self._key):
            if self._descriptor is None:
                self._descriptor = self._create()
            view = memoryview(frame)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """See LogAppender."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._segment += 1

    def _create(self) -> int:
        _make_folder(self._path.parent)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        _sync_folder(self._path.parent)
        return descriptor


def _listed(entry: os.DirEntry[str], key: str) -> list[ListedObject]:
    try:
        info = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return []
    stamp = f"{info.st_mtime_ns:x}-{info.st_size:x}-{info.st_ino:x}"
    return [ListedObject(key, stamp, info.st_size, info.st_mtime)]


def _place(temporary: Path, target: Path, place: Callable[[Path, Path], None]) -> None:
    """Give the temporary file its name; a folder that another thread just found empty and removed is made again."""
    for is_last in (False, False, True):
        _make_folder(target.parent)
        try:
            place(temporary, target)
            break
        except FileNotFoundError:
            if is_last:
                raise
    _sync_folder(target.parent)


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for child in reversed(missing):
        child.mkdir(exist_ok=True)
        _sync_folder(child.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
