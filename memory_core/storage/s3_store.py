"""Objects in a bucket that honours ``If-None-Match: *`` on PUT and lists what was just written: ``s3://``.

Credentials, region and endpoint come from the usual AWS environment or from the options given to ``open_store``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import fsspec

from memory_core.errors import NeuralMemoryError, NotFound
from memory_core.storage.object_log import ObjectLog
from memory_core.storage.object_store import ListedObject, object_not_found, storage_unavailable

_PAGE = 1000


class S3Store:
    """ObjectStore over s3fs. Listing caches are off: what another writer made must be seen."""

    def __init__(self, bucket: str, prefix: str, **options: Any) -> None:
        self._fs: Any = fsspec.filesystem("s3", use_listings_cache=False, **options)
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def url(self) -> str:
        """``s3://``, the bucket and the folder."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def segments_grow(self) -> bool:
        """See ObjectStore."""
        return False

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with _s3_errors("read", key):
            return bytes(self._fs.cat_file(self._path(key), max_concurrency=1))

    def put(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        with _s3_errors("write", key):
            self._fs.pipe_file(self._path(key), data)

    def create_if_absent(self, key: str, data: bytes) -> bool:
        """See ObjectStore. Every failure is settled by reading back, since its answer may have been lost."""
        try:
            with _s3_errors("create", key):
                self._fs.pipe_file(self._path(key), data, mode="create")
        except FileExistsError:
            return self._holds(key, data)
        except NeuralMemoryError:
            if not self.exists(key):
                raise
            return self._holds(key, data)
        return True

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        try:
            with _s3_errors("look for", key):
                self._fs.call_s3("head_object", Bucket=self._bucket, Key=self._prefix + key)
        except NotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with _s3_errors("delete", key):
            self._fs.call_s3("delete_object", Bucket=self._bucket, Key=self._prefix + key)

    def list_objects(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> list[ListedObject]:
        """See ObjectStore. One request per 1,000 keys."""
        found: list[ListedObject] = []
        while limit is None or len(found) < limit:
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page, is_last = self._list_page(prefix, start_after, wanted)
            found += page
            if is_last or not page:
                break
            start_after = page[-1].key
        return found

    def sync(self, key: str) -> None:
        """See ObjectStore; what can be read is durable."""

    def sweep_temporary(self, older_than_s: float, *, is_dry_run: bool = False) -> int:
        """See ObjectStore; an object is written whole or not at all."""
        return 0

    def open_log(self, folder: str, first_segment: int) -> ObjectLog:
        """One object per frame."""
        return ObjectLog(self, folder, first_segment)

    def _list_page(self, prefix: str, start_after: str, limit: int) -> tuple[list[ListedObject], bool]:
        after = {"StartAfter": self._prefix + start_after} if start_after else {}
        with _s3_errors("list", prefix):
            answer = self._fs.call_s3(
                "list_objects_v2", Bucket=self._bucket, Prefix=self._prefix + prefix, MaxKeys=limit, **after
            )
        cut = len(self._prefix)
        listed = [
            ListedObject(item["Key"][cut:], item["ETag"], item["Size"], item["LastModified"].timestamp())
            for item in answer.get("Contents", [])
        ]
        return listed, not answer.get("IsTruncated", False)

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.get(key) == data
        except NotFound:
            return False

    def _path(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"


@contextlib.contextmanager
def _s3_errors(action: str, key: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as error:
        raise object_not_found(key) from error
    # The client library raises its own tree for endpoints, credentials and time-outs; all mean "not reachable now".
    except Exception as error:
        raise storage_unavailable(action, key, error) from error
