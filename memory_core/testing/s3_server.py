"""An S3 server on loopback for tests: moto's, over real HTTP. Needs the ``dev`` and ``s3`` extras."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def running_s3() -> Iterator[dict[str, Any]]:
    """Options for ``open_store`` that reach a server which lives as long as the context."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "key": "testing",
            "secret": "testing",
            "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"},
        }
    finally:
        server.stop()


def fresh_bucket_url(options: dict[str, Any]) -> str:
    """A new bucket on the server, with a folder to be the volume."""
    import s3fs

    bucket = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(**options).call_s3("create_bucket", Bucket=bucket)
    return f"s3://{bucket}/volume"
