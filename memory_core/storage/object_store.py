"""The few storage operations everything durable is built from.

Synchronous on purpose: calls block on disks and networks, so they run in threads and never on an event loop.
Keys are ``/``-separated relative paths made of checked ids. Every implementation passes
``memory_core.testing.store_conformance``.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from memory_core.errors import NotFound, Unavailable

SINGLE_WRITER: Final = "single_writer=true"
"""In the query of a volume's URL: the operator's promise that nothing else ever writes to it."""
STORAGE_FULL: Final = "STORAGE_FULL"


@dataclass(frozen=True, slots=True)
class ListedObject:
    """A key of a listing; ``stamp`` changes when the object is replaced, so it validates a cached copy.

    modified_s: seconds since 1970 by the store's clock.
    """

    key: str
    stamp: str
    size_bytes: int
    modified_s: float


class LogAppender(Protocol):
    """An ordered log under one folder. One appender per folder and first segment, used by one thread at a time."""

    @property
    def next_segment(self) -> int:
        """The first segment number that a later log in the same folder may take."""
        ...

    def append(self, frame: bytes) -> None:
        """Add a frame; durable when it returns. After an error the appender must not be used again."""
        ...

    def close(self) -> None:
        """Release the handle."""
        ...


class ObjectStore(Protocol):
    """Objects by key. Raises NotFound (OBJECT_NOT_FOUND), Unavailable (STORAGE_UNAVAILABLE, STORAGE_FULL) alone."""

    @property
    def url(self) -> str:
        """Where the volume is, without credentials."""
        ...

    @property
    def segments_grow(self) -> bool:
        """True when a log appends to its segment, so that a crash may leave the last frame unfinished."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object; NotFound when there is none."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Publish an object whole: a reader sees the old bytes or the new ones. Durable when it returns."""
        ...

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """Publish unless the key exists, atomically; False when it does.

        ``data`` must hold a unique id: an answer that was lost is told from a conflict by reading the object back.
        """
        ...

    def exists(self, key: str) -> bool:
        """True when the key has an object."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""
        ...

    def list_objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> list[ListedObject]:
        """Keys that begin with ``prefix`` and are greater than ``start_after``, in byte order, at most ``limit``."""
        ...

    def sync(self, key: str) -> None:
        """Return once what was read of an object is durable: a segment that grows shows bytes before they are."""
        ...

    def sweep_temporary(self, older_than_s: float, *, is_dry_run: bool = False) -> int:
        """Delete what crashed writes left where no listing sees it; returns how many."""
        ...

    def open_log(self, folder: str, first_segment: int) -> LogAppender:
        """A new log of ``folder/<segment>.log`` objects. Segments grow in place or hold one frame each."""
        ...


def segment_key(folder: str, segment: int) -> str:
    """Key of one log segment; ten digits keep byte order equal to number order."""
    return f"{folder}/{segment:010d}.log"


def object_not_found(key: str) -> NotFound:
    """The error of every read of a missing key."""
    return NotFound(f"The stored object {ascii(key)} does not exist.", code="OBJECT_NOT_FOUND", key=key)


def storage_unavailable(action: str, key: str, error: BaseException) -> Unavailable:
    """One message for whatever a disk or a network did; the cause's class is named, its text is chained."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(
            f"The volume has no room left to {action} {ascii(key)}.",
            code=STORAGE_FULL,
            hint="Free space on the volume, then repeat the call.",
            key=key,
        )
    return Unavailable(
        f"Storage failed to {action} {ascii(key)} ({type(error).__name__}).",
        code="STORAGE_UNAVAILABLE",
        hint="Check the volume, then repeat the call.",
        key=key,
    )


@contextlib.contextmanager
def storage_errors(action: str, key: str) -> Iterator[None]:
    """Turn what a reading file system raises into this project's errors."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise object_not_found(key) from error
    except OSError as error:
        raise storage_unavailable(action, key, error) from error


@contextlib.contextmanager
def write_errors(action: str, key: str) -> Iterator[None]:
    """As ``storage_errors``, but a write that finds no folder is a failed write, never a missing object."""
    try:
        yield
    except OSError as error:
        raise storage_unavailable(action, key, error) from error
