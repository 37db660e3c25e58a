"""A job on a volume that becomes full, and later has room: a real file system of a few megabytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]
COUNT = 8_000


@pytest.fixture
def small_disk(short_folder: Path) -> Iterator[Path]:
    """An 8 MiB file system in RAM; skipped where nobody may mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", short_folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a file system takes root")
    yield short_folder
    subprocess.run(["umount", "-l", short_folder], check=True)


def batch(volume: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MEMORY_STORAGE_PATH": str(volume), "ENCODER": "hash", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "deployments.cli", "batch", *arguments, "--local"]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=400)


def test_a_full_disk_ends_a_job_with_its_name_and_it_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        "".join(json.dumps({"text": f"Shelf {row} holds {row * 3} books."}) + "\n" for row in range(COUNT))
    )
    volume = small_disk / "volume"
    full = batch(volume, "observe", str(corpus), "--memory", "team", "--create", "--job", "job-1")
    assert full.returncode == 1
    assert "STORAGE_FULL" in full.stderr
    assert "Free space on the volume" in full.stderr
    assert "Traceback" not in full.stderr
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    done = batch(volume, "resume", "job-1", "--json")
    assert done.returncode == 0, done.stderr
    info = json.loads(done.stdout)
    assert (info["status"], info["items"], info["learned"], info["rejected"]) == ("succeeded", COUNT, COUNT, 0)
    stats = subprocess.run(
        [sys.executable, "-m", "deployments.cli", "stats", "team", "--local", "--json"],
        env={**os.environ, "MEMORY_STORAGE_PATH": str(volume)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(stats.stdout)["observation_count"] == COUNT
