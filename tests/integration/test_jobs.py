"""Jobs on a cluster: over Ray Data, driven by an actor, with every kind of process killed on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.job_desk import JobDesk
from cluster.ray_backend import ClusterSettings, RayBackend
from deployments.bench.batch_kills import pids_of
from memory_core.encoding.encoder import EncoderInfo
from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.ids import MemoryName
from memory_core.jobs.plan import JobId, JobPlan, Reading
from memory_core.jobs.progress import ENDED, JobInfo
from memory_core.jobs.sources import find_files
from memory_core.storage.open_store import open_store
from memory_core.testing.small_memory import small_config

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
_PATIENCE_S = 400.0


@pytest.fixture
def desk(volume_url: str) -> JobDesk:
    return JobDesk(open_store(volume_url), volume_url, ClusterSettings())


def plan_of(folder: Path, count: int) -> JobPlan:
    rows = [
        json.dumps({"text": f"Shelf {row} holds {row * 3} books."}) if row % 50 else "no json"
        for row in range(1, count + 1)
    ]
    (folder / "corpus.jsonl").write_text("".join(row + "\n" for row in rows))
    encoder = HashEncoder()
    return JobPlan(
        job_id=JobId(f"job-{uuid.uuid4().hex[:8]}"),
        source=str(folder),
        files=find_files(str(folder), Reading()),
        reading=Reading(),
        encoder=EncoderInfo(encoder_id=encoder.encoder_id, fingerprint=encoder.fingerprint, key_dim=encoder.key_dim),
        memory=MemoryName(f"memory-{uuid.uuid4().hex[:8]}"),
        config=small_config(units=4096),
        window_items=64,
    )


async def until(desk: JobDesk, job: JobId, holds: Callable[[JobInfo], bool]) -> JobInfo:
    give_up_at_s = time.monotonic() + _PATIENCE_S
    while not holds(info := await desk.info(job)):
        assert time.monotonic() < give_up_at_s, info
        await asyncio.sleep(0.2)
    return info


@pytest.mark.slow
async def test_a_job_outlives_its_driver_an_encoder_and_the_memory(
    desk: JobDesk, ray_backend: RayBackend, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, 600)
    assert plan.memory is not None
    await desk.submit(plan)
    for number, title in enumerate(("ray::MemoryHost", "ray::MapWorker", "ray::JobRunner"), start=1):
        await until(desk, plan.job_id, lambda info, number=number: info.items >= 100 * number or info.status in ENDED)
        for pid in pids_of(title)[:1]:
            os.kill(pid, signal.SIGKILL)
    info = await until(desk, plan.job_id, lambda info: info.status in ENDED)
    assert (info.status, info.items, info.learned, info.rejected) == ("succeeded", 600, 588, 12)
    assert info.runs == 2
    assert (await ray_backend.stats(plan.memory)).observation_count == 588
    lines = [json.loads(line)["line"] for line in b"".join(desk.rejects(plan.job_id)).splitlines()]
    assert lines == list(range(50, 601, 50))


async def test_datasets_teach_a_memory_and_are_measured_against_it(
    ray_backend: RayBackend, volume_url: str, fresh_name: MemoryName
) -> None:
    import ray.data

    from neural_memory import jobs

    await ray_backend.create(fresh_name, small_config())
    known = [f"The ferry to island {number} leaves at noon." for number in range(20)]

    def work() -> list[float]:
        sink = jobs.memory_sink(fresh_name, volume=volume_url)
        ray.data.from_items([{"text": text} for text in known]).write_datasink(sink)
        assert sink.taught.observations == 20
        asked = ray.data.from_items([{"text": known[0]}, {"text": "Bees dance to show a way."}])
        return sorted(row["surprise"] for row in jobs.with_surprise(asked, fresh_name, volume=volume_url).take_all())

    low, high = await asyncio.to_thread(work)
    assert low < 0.05
    assert high > 0.5
    assert (await ray_backend.stats(fresh_name)).observation_count == 20
