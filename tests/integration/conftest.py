"""One local Ray cluster for all integration tests, with folders and ports of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster.ray_backend import RayBackend
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import MemoryName


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """A cluster of this process; ends with it. Gives the folder of its sessions."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "180")  # a busy machine takes longer than its minute
    import ray

    from cluster.ray_api import start_local_ray

    # Short: the paths of Unix sockets inside it may have 107 characters at most.
    folder = tempfile.mkdtemp(prefix="nm-test-")
    start_local_ray(folder, object_store_bytes=128 * 1024 * 1024, cpus=2)
    yield folder
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def volume_url(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The volume of the session; tests take fresh names on it."""
    return (tmp_path_factory.mktemp("volume") / "v").as_uri()


@pytest.fixture
async def ray_backend(volume_url: str) -> AsyncIterator[RayBackend]:
    """A backend; every memory that the test made is deleted after it, so that its process ends."""
    encoders = LocalEncoderPool()
    backend = RayBackend(volume_url, encoders)
    yield backend
    await delete_all(backend)
    encoders.close()


async def delete_all(backend: RayBackend) -> None:
    """Delete every memory of the volume."""
    while memories := (await backend.list_memories(limit=100)).memories:
        for info in memories:
            await backend.delete(info.name)


@pytest.fixture
def fresh_name() -> MemoryName:
    """A name that no other test uses."""
    return MemoryName(f"memory-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path, removed afterwards."""
    folder = tempfile.mkdtemp(prefix="nm-")
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
