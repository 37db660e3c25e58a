"""A short chaos run: processes of the whole service die while eight clients work, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def test_nothing_acknowledged_is_lost_or_doubled_while_processes_die() -> None:
    # In a process of its own: it starts a cluster of several nodes.
    program = [sys.executable, "-m", "deployments.cli", "bench", "chaos", "--json", "--seconds", "15", "--seed", "3"]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(program, capture_output=True, text=True, timeout=500, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    figures = report["figures"]
    assert (figures["lost"], figures["doubled"], figures["untyped_errors"]) == (0, 0, 0), report
    assert figures["acknowledged"] > 0
    assert figures["killed"] > 0
