"""Volumes for the contract tests."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from memory_core.storage.object_store import ObjectStore
from memory_core.storage.open_store import open_store
from memory_core.testing.s3_server import fresh_bucket_url, running_s3


@pytest.fixture(scope="session")
def s3_options() -> Iterator[dict[str, Any]]:
    """One server for all tests; each takes a bucket of its own."""
    with running_s3() as options:
        yield options


@pytest.fixture
def s3_store(s3_options: dict[str, Any]) -> ObjectStore:
    """A store in a fresh bucket."""
    return open_store(fresh_bucket_url(s3_options), **s3_options)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny tensors gain nothing from more, and threads that spin for work slow everything else down."""
    torch.set_num_threads(1)
