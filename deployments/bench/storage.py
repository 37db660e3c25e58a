"""What durability costs: commits in groups and alone, checkpoint, restore, fork, and a long listing.

Keys are drawn at random, so no encoder is part of the times; the volume is a folder on this machine's disk.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import torch

from deployments.bench.progress import Progress
from deployments.bench.report import Report, conditions
from memory_core.config import MemoryConfig
from memory_core.durability import Durability
from memory_core.ids import EncoderId, MemoryName, Tag
from memory_core.results import EncodedObservation, EncodedText, Observation
from memory_core.storage.catalog import PAGE_LIMIT_MAX
from memory_core.storage.local_store import LocalStore
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

SIZES: Final = (1_000, 10_000, 100_000)
CLIENTS: Final = 16
OBSERVATIONS: Final = 800
FORKS: Final = 5
LISTED: Final = 1_000
_KEY_DIM: Final = 384
_FILL_BATCH: Final = 128


def run_storage(
    patterns_max: int, progress: Progress, *, observations: int = OBSERVATIONS, memories: int = LISTED
) -> Report:
    """All figures; checkpoints are measured at the sizes up to ``patterns_max``."""
    sizes = [size for size in SIZES if size <= patterns_max]
    with tempfile.TemporaryDirectory(prefix="neural-memory-storage-") as folder:
        figures = _commits(Path(folder), observations, progress)
        figures |= _forks(Path(folder) / "forks", progress)
        for size in sizes:
            figures |= _versions(Path(folder) / f"versions-{size}", size, progress)
        figures |= _listing(Path(folder) / "listing", memories, progress)
    told = conditions(
        storage="file",
        encoder="none: random keys of 384 numbers",
        variant="sparse",
        clients=CLIENTS,
        n={"observations": observations, "patterns": sizes, "memories": memories, "forks": FORKS},
        torch_threads=torch.get_num_threads(),
    )
    return Report(bench="storage", figures=figures, conditions=told)


def _commits(folder: Path, observations: int, progress: Progress) -> dict[str, float]:
    """Observations a second of clients that write at once: in groups, and each with a sync of its own."""
    rates = {
        name: _observe_at_once(folder / name, Durability.parse(durability), observations, progress)
        for name, durability in (("group_commit_obs_per_s", "group"), ("fsync_each_obs_per_s", "sync"))
    }
    return {**rates, "group_commit_gain": rates["group_commit_obs_per_s"] / rates["fsync_each_obs_per_s"]}


def _observe_at_once(folder: Path, durability: Durability, observations: int, progress: Progress) -> float:
    writer = _fresh_writer(folder, _config(), WriterSettings(durability=durability))
    shares = [[[item] for item in _observations(observations // CLIENTS, seed)] for seed in range(CLIENTS)]

    def observe_all(share: list[list[EncodedObservation]]) -> None:
        for batch in share:
            writer.observe(batch)
            progress.advance(1)

    clients = [threading.Thread(target=observe_all, args=(share,)) for share in shares]
    took_s = _seconds(lambda: _run_all(clients))
    writer.close(must_fold=False)
    return sum(map(len, shares)) / took_s


def _forks(folder: Path, progress: Progress) -> dict[str, float]:
    """Forks of a memory with the default fast weights; tensor bytes are counted on the disk before and after."""
    writer = _fresh_writer(folder, _config())
    writer.observe(_observations(_FILL_BATCH))
    size_bytes = writer.checkpoint(Tag("origin")).size_bytes
    volume, before = Volume(LocalStore(folder)), _tensor_bytes(folder)
    names = [MemoryName(f"fork-{number}") for number in range(FORKS)]
    took_s = [_seconds(partial(volume.fork, MemoryName("bench"), Tag("origin"), name)) for name in names]
    progress.advance(FORKS)
    copied = _tensor_bytes(folder) - before
    return {"fork_ms": 1e3 * median(took_s), "fork_tensor_bytes": float(copied), "forked_bytes": float(size_bytes)}


def _versions(folder: Path, patterns: int, progress: Progress) -> dict[str, float]:
    """Times to publish a version, go back to it, and to recover a memory whose journal was folded."""
    writer = _fresh_writer(folder, _config(units=patterns))
    for start in range(0, patterns, _FILL_BATCH):
        writer.observe(_observations(min(_FILL_BATCH, patterns - start), start))
        progress.advance(_FILL_BATCH)
    checkpoint_s = _seconds(lambda: writer.checkpoint(Tag("version")))
    size_bytes = writer.list_checkpoints().checkpoints[0].size_bytes
    found = writer.stats().pattern_count
    writer.observe(_observations(1, patterns))
    restore_s = _seconds(lambda: writer.restore(Tag("version")))
    writer.close()
    open_s = _seconds(lambda: MemoryWriter.open(LocalStore(folder), MemoryName("bench")))
    values = {
        "checkpoint_ms": 1e3 * checkpoint_s,
        "restore_ms": 1e3 * restore_s,
        "open_ms": 1e3 * open_s,
        "checkpoint_bytes": size_bytes,
        "patterns": found,
    }
    return {f"{name}_{patterns // 1_000}k": float(value) for name, value in values.items()}


def _listing(folder: Path, memories: int, progress: Progress) -> dict[str, float]:
    """One page of a thousand memories, by a process that has read none of them yet."""
    writing = Volume(LocalStore(folder))
    for number in range(memories):
        writing.create(MemoryName(f"memory-{number:04d}"), _config())
        progress.advance(1)
    reading = Volume(LocalStore(folder))
    return {
        "list_1000_ms": 1e3 * _seconds(lambda: reading.list_memories(PAGE_LIMIT_MAX)),
        "list_1000_again_ms": 1e3 * _seconds(lambda: reading.list_memories(PAGE_LIMIT_MAX)),
    }


def _config(**changes: Any) -> MemoryConfig:
    return MemoryConfig(encoder=EncoderId("random"), encoder_fingerprint="random", key_dim=_KEY_DIM, **changes)


def _fresh_writer(folder: Path, config: MemoryConfig, settings: WriterSettings | None = None) -> MemoryWriter:
    store, name = LocalStore(folder), MemoryName("bench")
    Volume(store).create(name, config)
    return MemoryWriter.open(store, name, settings)


def _observations(count: int, seed: int = 0) -> list[EncodedObservation]:
    """Texts of two words that no other has, each with a key of unit length."""
    keys_ND = np.random.default_rng(seed).standard_normal((count, _KEY_DIM), dtype=np.float32)
    keys_ND /= np.linalg.norm(keys_ND, axis=1, keepdims=True)
    texts = [f"subject{seed}x{number} object{seed}x{number}" for number in range(count)]
    return [
        EncodedObservation(
            observation=Observation(text=text),
            encoded=EncodedText(text=text, spans=((0, len(text)),), keys_SD=key_D[None]),
        )
        for text, key_D in zip(texts, keys_ND, strict=True)
    ]


def _tensor_bytes(folder: Path) -> int:
    files = [*(folder / "blobs").rglob("*"), *(folder / "memories").glob("*/state/*/*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
