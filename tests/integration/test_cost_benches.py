"""The measurements that plans are made of run on a service and a cluster, and say what they found."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("command", "positive"),
    [
        ("costs", {"observe_ms", "question_ms", "ingress_ms", "encode_ms_hash", "journal_bytes", "requests"}),
        ("sizing", {"predicted_calls_per_s", "measured_calls_per_s", "from_constants_calls_per_s", "host_ms", "cores"}),
    ],
)
def test_a_bench_of_costs_prints_its_figures(command: str, positive: set[str]) -> None:
    words = [sys.executable, "-m", "deployments.cli", "bench", command, "--seconds", "1", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)["figures"]
    assert {name for name in positive if not figures[name] > 0} == set()
