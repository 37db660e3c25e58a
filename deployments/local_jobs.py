"""The composition root of jobs without a service: this process drives, on a cluster that it joins or starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Final

from cluster.holders import drain_owners
from cluster.ray_api import connect_ray, leave, start_local_ray
from deployments.cluster_settings import cluster_settings
from deployments.job_request import House, JobOwner, JobRequest, make_plan
from deployments.local import open_local
from deployments.settings import MIB, Settings, cluster_address
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId
from memory_core.jobs.keeper import OnInfo
from memory_core.jobs.plan import JobId, JobPlan
from memory_core.jobs.progress import JobInfo
from memory_core.jobs.record import JobShelf
from memory_core.storage.open_store import open_store

_OBJECT_STORE_BYTES: Final = 256 * MIB
_DRAIN_TIMEOUT_S: Final = 60.0


async def accept_local(settings: Settings, request: JobRequest) -> JobPlan:
    """Plan a job on the volume of the settings and keep it; nothing is taught yet."""
    encoders = LocalEncoderPool()
    backend = open_local(settings)
    try:
        house = House(
            backend=backend,
            encoders=encoders,
            encoder=EncoderId(settings.encoder),
            defaults=settings.memory_defaults,
        )
        plan = await make_plan(request, house, JobOwner())
    finally:
        await backend.close()
        encoders.close()
    return open_shelf(settings).accept(plan)


def open_shelf(settings: Settings) -> JobShelf:
    """The jobs of the volume of the settings."""
    return JobShelf(open_store(settings.storage_url))


def drive_local(settings: Settings, job: JobId, on_info: OnInfo | None = None, *, cpus: int | None = None) -> JobInfo:
    """Work on a job until it has ended; see ``run_job``. Blocks.

    On the cluster that RAY_ADDRESS names (in a ``ray job submit`` it is there), else on one that lives as long as this.
    """
    from cluster.job_runner import drive

    with joined_ray(cpus=cpus):
        return drive(settings.storage_url, job, cluster_settings(settings), on_info)


@contextlib.contextmanager
def joined_ray(*, cpus: int | None = None) -> Iterator[None]:
    """The cluster that the environment names, or one of this process until the block ends."""
    address = cluster_address()
    if address is not None:
        connect_ray(address)
        try:
            yield
        finally:
            leave()
        return
    # A short path of our own: Unix sockets inside it may have 107 characters at most.
    folder = tempfile.mkdtemp(prefix="nm-ray-")
    # Fewer than two cannot hold all stages of a job at once.
    start_local_ray(folder, object_store_bytes=_OBJECT_STORE_BYTES, cpus=max(2, cpus or os.cpu_count() or 2))
    try:
        yield
    finally:
        drain_owners(_DRAIN_TIMEOUT_S)
        leave()
        shutil.rmtree(folder, ignore_errors=True)
