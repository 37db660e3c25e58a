"""Volumes for the contract tests."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from memory_core.storage.object_store import ObjectStore


@pytest.fixture(scope="session")
def s3_options() -> Iterator[dict[str, Any]]:
    """Options that reach moto's S3 server; one server for all tests, one bucket per test."""
    server_module = pytest.importorskip("moto.moto_server.threaded_moto_server")
    pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "key": "testing",
        "secret": "testing",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"},
    }
    server.stop()


@pytest.fixture
def s3_url(s3_options: dict[str, Any]) -> str:
    """A fresh bucket with a folder."""
    import s3fs

    bucket = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(**s3_options).call_s3("create_bucket", Bucket=bucket)
    return f"s3://{bucket}/volume"


@pytest.fixture
def s3_store(s3_url: str, s3_options: dict[str, Any]) -> ObjectStore:
    """A store in a fresh bucket."""
    from memory_core.storage.open_store import open_store

    return open_store(s3_url, **s3_options)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny tensors gain nothing from more, and threads that spin for work slow everything else down."""
    torch.set_num_threads(1)
