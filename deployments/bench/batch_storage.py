"""Where a measured job reads and writes: folders of this machine, or buckets of an S3 server over HTTP."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_core.testing.s3_server import fresh_bucket_url, running_s3


@dataclass(frozen=True, slots=True)
class Places:
    """``put``: makes a file readable for the job and gives its URL."""

    volume_url: str
    put: Callable[[Path], str]


@contextlib.contextmanager
def storage(folder: Path, *, is_s3: bool) -> Iterator[Places]:
    """Places that last as long as the block. S3 is named to all processes by the environment, as operators do."""
    if not is_s3:
        yield Places((folder / "volume").as_uri(), str)
        return
    with running_s3() as options, _environment(options):
        volume_url = fresh_bucket_url(options)
        yield Places(volume_url, lambda file: _uploaded(file, volume_url.removesuffix("/volume"), options))


@contextlib.contextmanager
def _environment(options: dict[str, Any]) -> Iterator[None]:
    chosen = {
        "AWS_ACCESS_KEY_ID": options["key"],
        "AWS_SECRET_ACCESS_KEY": options["secret"],
        "AWS_ENDPOINT_URL": options["client_kwargs"]["endpoint_url"],
        "AWS_DEFAULT_REGION": options["client_kwargs"]["region_name"],
    }
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _uploaded(file: Path, bucket_url: str, options: dict[str, Any]) -> str:
    import s3fs

    url = f"{bucket_url}/corpus/{file.name}"
    s3fs.S3FileSystem(**options).put_file(str(file), url.removeprefix("s3://"))
    return url
