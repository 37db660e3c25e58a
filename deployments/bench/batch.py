"""What a job costs beside its encoder, and how much RAM it takes: a whole job over Ray Data on this machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from deployments.job_request import JobRequest
from deployments.settings import Settings
from memory_core.ids import parse_memory_name
from memory_core.jobs.progress import ENDED, JobInfo

MIB: Final = 1 << 20
WARM_TEXTS: Final = 64
BARE_TEXTS: Final = 2_048
_SAMPLE_S: Final = 4.0  # a look at all processes costs a tenth of a second of the processor


def bare_encoder_per_s(encoder_id: str, texts: Sequence[str], batch: int) -> float:
    """Sentences a second of the encoder alone, with all cores, in batches of a job's size."""
    import torch

    from memory_core.encoding.registry import open_encoder

    torch.set_num_threads(os.cpu_count() or 1)
    encoder = open_encoder(encoder_id)
    encoder.encode(texts[:WARM_TEXTS])
    began_s = time.perf_counter()
    for start in range(0, len(texts), batch):
        encoder.encode(texts[start : start + batch])
    return len(texts) / (time.perf_counter() - began_s)


def write_corpus(folder: Path, texts: Sequence[str]) -> Path:
    """The texts as JSON lines."""
    file = folder / "corpus.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that ended, and when it began and ended (monotonic seconds), without the start of its cluster."""

    info: JobInfo
    began_s: float
    ended_s: float

    @property
    def per_s(self) -> float:
        """Rows a second, from the start of the job to its end."""
        return self.info.items / (self.ended_s - self.began_s)


class ProcessWatch:
    """Peak RSS of this process and all below it, by how many rows the job had dealt with."""

    def __init__(self) -> None:
        self.items = 0
        self.first_s = 0.0
        self.first_items = 0
        self.samples: list[tuple[int, int]] = []
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="rss", daemon=True)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def told(self, info: JobInfo) -> None:
        """Take notice of how far the job is; what comes after its end is not watched."""
        if info.items and not self.items:
            self.first_s, self.first_items = time.perf_counter(), info.items
        self.items = info.items
        if info.status in ENDED:
            self._stop.set()

    def peak_bytes(self, first: int, last: int) -> int:
        """Between two numbers of rows."""
        return max((size for items, size in self.samples if first < items <= last), default=0)

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self.samples.append((self.items, tree_rss_bytes()))


def tree_rss_bytes() -> int:
    """RSS of this process and its descendants, shared pages counted once each (PSS) where the system says so."""
    import psutil

    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
        except psutil.Error:  # it has just ended
            continue
    return total


def run_jobs_here(
    settings: Settings,
    requests: Sequence[JobRequest],
    watchers: Sequence[Callable[[JobInfo], None]],
    cpus: int | None = None,
) -> list[Ran]:
    """Whole jobs, one after the other, on one cluster of their own. ``watchers`` see the first one."""
    import asyncio

    from cluster.job_runner import drive
    from deployments.cluster_settings import cluster_settings
    from deployments.local_jobs import accept_local, joined_ray

    def told(info: JobInfo) -> None:
        for watcher in watchers:
            watcher(info)

    plans = [asyncio.run(accept_local(settings, request)) for request in requests]
    ran: list[Ran] = []
    with joined_ray(cpus=cpus):
        for plan in plans:
            began_s = time.perf_counter()
            info = drive(settings.storage_url, plan.job_id, cluster_settings(settings), None if ran else told)
            ran.append(Ran(info, began_s, time.perf_counter()))
    return ran


def taught_count(settings: Settings, memory: str) -> int:
    """How many observations a memory holds, read from its volume once nobody else works on it."""
    import asyncio

    from deployments.local import open_local

    async def count() -> int:
        backend = open_local(settings)
        try:
            return (await backend.stats(parse_memory_name(memory))).observation_count
        finally:
            await backend.close()

    return asyncio.run(count())


def figures_of(ran: Ran, bare_per_s: float, watch: ProcessWatch) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures of a job, and what else was seen. Growth is of the second half over the first."""
    info, seconds = ran.info, ran.ended_s - ran.began_s
    half = info.items // 2
    first, second = watch.peak_bytes(0, half), watch.peak_bytes(half, info.items)
    figures = {
        "rate_over_encoder": ran.per_s / bare_per_s,
        "obs_per_s": ran.per_s,
        "encoder_per_s": bare_per_s,
        "rss_growth_pct": 100 * (second / first - 1) if first else 0.0,
    }
    return figures, {
        "rss_mib_first_half": first / MIB,
        "rss_mib_second_half": second / MIB,
        "seconds": seconds,
        "seconds_to_first": watch.first_s - ran.began_s,
        # Without the start of the job's processes: what a larger corpus comes to.
        "rate_over_encoder_from_first": (info.items - watch.first_items) / (ran.ended_s - watch.first_s) / bare_per_s,
    }
