"""What happens between nodes, each case on a cluster of its own in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.redis_server import running_redis

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def run_elsewhere(*program: str, timeout_s: float = 500) -> dict[str, Any]:
    """What a Python program of another process printed last, as JSON. A process has one cluster at most."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_standby_on_another_node_takes_over_and_loses_nothing() -> None:
    report = run_elsewhere("-m", "deployments.cli", "bench", "standby", "--rounds", "2", "--small", "--json")
    assert (report["figures"]["lost"], report["figures"]["doubled"]) == (0, 0), report
    assert report["figures"]["takeover_ms"] > 0


def test_demand_adds_a_node_idleness_takes_it_and_memories_move_before_a_drained_one_goes() -> None:
    told = run_elsewhere("-m", "tests.integration.scenarios.autoscaled")
    assert told["nodes_for_demand"] == 1, told
    assert told["pending"] == ["The memory is pending: needs a node with pool=elastic."]
    assert told["is_same_history"], told
    assert told["drained"]["was_alive"], told  # it moved before the node went
    assert told["acknowledged"] == told["counted"], told


def test_the_service_answers_again_after_its_control_service_was_killed(tmp_path: Path) -> None:
    with running_redis(tmp_path) as url:
        address = url.removeprefix("redis://").removesuffix("/0")
        told = run_elsewhere("-m", "tests.integration.scenarios.gcs_restart", address)
    assert told["counts"] == [2, 2, 2, 2], told
    assert told["is_same_owner"], told  # no memory had to be opened again
    assert len(set(told["control"])) == 2, told


def test_an_upgrade_under_load_loses_no_request_that_was_acknowledged() -> None:
    told = run_elsewhere("-m", "tests.integration.scenarios.rolling_upgrade")
    assert told["is_replaced"], told
    assert told["given_up"] > 0, told
    assert told["acknowledged"] == told["distinct"] == told["counted"] > told["before"] > 0, told
    assert set(told["errors"]) <= {"UNAVAILABLE"}, told
