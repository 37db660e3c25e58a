"""An ObjectStore that goes wrong on purpose: failing calls, lost answers, torn appends, damaged objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from memory_core.errors import Unavailable
from memory_core.storage.object_store import ListedObject, LogAppender, ObjectStore, storage_unavailable


class Moment(StrEnum):
    """Around which instant of an operation the hook is asked."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Operation:
    """One instant of one store call; ``number`` counts the instants of a store, from 1."""

    number: int
    method: str
    key: str
    moment: Moment

    @property
    def is_write(self) -> bool:
        """True for calls that change the volume."""
        return self.method in {"put", "create_if_absent", "delete", "append"}


Hook = Callable[[Operation], None]


def do_nothing(_: Operation) -> None:
    """The hook of a store that behaves."""


def failing(method: str, part: str, moment: Moment = Moment.BEFORE, times: int = 1) -> Hook:
    """Fail the first ``times`` calls of a method on keys that contain ``part``; AFTER means the answer is lost."""
    left = [times]

    def hook(operation: Operation) -> None:
        if left[0] and operation.method == method and part in operation.key and operation.moment is moment:
            left[0] -= 1
            raise lost(operation)

    return hook


def lost(operation: Operation) -> Unavailable:
    """The error of a call that the network or the disk did not answer."""
    return storage_unavailable(operation.method, operation.key, TimeoutError())


class FaultyStore:
    """Passes calls on, asking ``hook`` before and after each; what the hook raises is raised to the caller.

    tear: asked before each append; a number of bytes means that only those are written, then the call fails. Where
    objects cannot grow, nothing is written then.
    """

    def __init__(
        self, inner: ObjectStore, hook: Hook = do_nothing, tear: Callable[[Operation], int | None] | None = None
    ) -> None:
        self.inner = inner
        self.hook = hook
        self.tear = tear
        self.operation_count = 0

    @property
    def url(self) -> str:
        """See ObjectStore."""
        return self.inner.url

    @property
    def segments_grow(self) -> bool:
        """See ObjectStore."""
        return self.inner.segments_grow

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        self.pass_by("get", key, Moment.BEFORE)
        return self.inner.get(key)

    def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        self.pass_by("put", key, Moment.BEFORE)
        self.inner.put(key, data)
        self.pass_by("put", key, Moment.AFTER)

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """See ObjectStore."""
        self.pass_by("create_if_absent", key, Moment.BEFORE)
        is_created = self.inner.create_if_absent(key, data)
        self.pass_by("create_if_absent", key, Moment.AFTER)
        return is_created

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        self.pass_by("exists", key, Moment.BEFORE)
        return self.inner.exists(key)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        self.pass_by("delete", key, Moment.BEFORE)
        self.inner.delete(key)
        self.pass_by("delete", key, Moment.AFTER)

    def list_objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> list[ListedObject]:
        """See ObjectStore."""
        self.pass_by("list_objects", prefix, Moment.BEFORE)
        return self.inner.list_objects(prefix, start_after=start_after, limit=limit)

    def sync(self, key: str) -> None:
        """See ObjectStore."""
        self.pass_by("sync", key, Moment.BEFORE)
        self.inner.sync(key)

    def sweep_temporary(self, older_than_s: float, *, is_dry_run: bool = False) -> int:
        """See ObjectStore."""
        return self.inner.sweep_temporary(older_than_s, is_dry_run=is_dry_run)

    def open_log(self, folder: str, first_segment: int) -> FaultyLog:
        """See ObjectStore."""
        return FaultyLog(self, self.inner.open_log(folder, first_segment), folder)

    def pass_by(self, method: str, key: str, moment: Moment) -> Operation:
        """Count an instant and ask the hook."""
        self.operation_count += 1
        operation = Operation(self.operation_count, method, key, moment)
        self.hook(operation)
        return operation


class FaultyLog:
    """LogAppender of a FaultyStore."""

    def __init__(self, store: FaultyStore, inner: LogAppender, folder: str) -> None:
        self._store = store
        self._inner = inner
        self._folder = folder

    @property
    def next_segment(self) -> int:
        """See LogAppender."""
        return self._inner.next_segment

    def append(self, frame: bytes) -> None:
        """See LogAppender."""
        operation = self._store.pass_by("append", self._folder, Moment.BEFORE)
        cut = self._store.tear(operation) if self._store.tear is not None else None
        if cut is not None:
            if self._store.segments_grow:  # an object is whole or absent
                self._inner.append(frame[:cut])
            self._store.pass_by("append", self._folder, Moment.AFTER)
            raise lost(operation)
        self._inner.append(frame)
        self._store.pass_by("append", self._folder, Moment.AFTER)

    def close(self) -> None:
        """See LogAppender."""
        self._inner.close()


def truncate(store: ObjectStore, key: str, keep_bytes: int) -> None:
    """Cut an object's end off."""
    store.put(key, store.get(key)[:keep_bytes])


def flip_bit(store: ObjectStore, key: str, position: int) -> None:
    """Change one bit of an object; ``position`` counts bits from the start, modulo its length."""
    data = bytearray(store.get(key))
    at = position % (8 * len(data))
    data[at // 8] ^= 1 << (at % 8)
    store.put(key, bytes(data))
