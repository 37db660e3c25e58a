"""A memory whose demand adds a node, whose idleness takes it away, and that moves before a node which is drained goes.

Prints what happened as JSON. Nodes are raylets of this machine that Ray's autoscaler starts and ends by its provider
for tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster import ray_api
from cluster.head_node import start_command
from cluster.memory_host import HostLimits
from cluster.ray_backend import ClusterSettings, RayBackend
from deployments.ports import free_port
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import Unavailable
from memory_core.ids import MemoryName
from memory_core.placement_spec import PlacementSpec
from memory_core.results import Observation, ObserveOptions
from memory_core.testing.small_memory import small_config

NAME = MemoryName("elastic")
WAIT_S = 150.0
COMMANDS = (
    "initialization",
    "setup",
    "head_setup",
    "worker_setup",
    "head_start_ray",
    "worker_start_ray",
)


def autoscaler_config(port: int) -> dict[str, Any]:
    """One type of worker, with a label that the head has not; an idle one goes after six seconds."""
    return {
        "cluster_name": "elastic",
        "max_workers": 3,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "gcs_address": f"{ray.util.get_node_ip_address()}:{port}",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0},
            "elastic": {
                "resources": {"CPU": 2, "object_store_memory": 100 << 20},
                "node_config": {},
                "labels": {"pool": "elastic"},
                "min_workers": 0,
                "max_workers": 3,
            },
        },
        "head_node_type": "ray.head.default",
        # What `ray up` would fill in. A provider from outside has no defaults of its own.
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{f"{part}_commands": [] for part in COMMANDS},
    }


HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"


@contextlib.contextmanager
def autoscaled_cluster() -> Iterator[str]:
    """A head with an autoscaler, connected to; gives its address."""
    folder, port = tempfile.mkdtemp(prefix="nm-"), free_port()
    config = Path(folder, "autoscaler.json")
    config.write_text(json.dumps(autoscaler_config(port)))
    command = start_command(folder, port, None, 100 << 20)
    environment = {
        **os.environ,
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    }
    with Path(folder, "head.log").open("wb") as sink:
        head = subprocess.Popen(
            [*command, f"--autoscaling-config={config}", "--num-cpus=2"], env=environment, stdout=sink, stderr=sink
        )
    try:
        until(lambda: ray_api.join_local_node(port) is not None, "the head")
        yield f"{ray.util.get_node_ip_address()}:{port}"
    finally:
        for log in Path(folder).rglob("monitor.log"):
            sys.stderr.write("".join(log.read_text().splitlines(keepends=True)[-15:]))
        ray.shutdown()
        started = [head, *psutil.Process(head.pid).children(recursive=True)]
        head.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(20)
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def until(holds: Callable[[], bool], what: str) -> float:
    """Seconds until it held; TimeoutError naming it."""
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() - began_s > WAIT_S:
            raise TimeoutError(what)
        time.sleep(0.2)
    return time.monotonic() - began_s


def workers() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Labels"].get("pool") == "elastic"}


async def learn(backend: RayBackend, text: str) -> int:
    """Until it is acknowledged; a memory that is pending says so meanwhile."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            return (await backend.observe(NAME, [Observation(text=text)], ObserveOptions())).observation_count
        except Unavailable as error:
            if time.monotonic() > deadline_s:
                raise
            PENDING.add(error.message)
            await asyncio.sleep(0.5)


PENDING: set[str] = set()


async def run(address: str, volume: str) -> dict[str, Any]:
    encoders = LocalEncoderPool()
    backend = RayBackend(volume, encoders, ClusterSettings(call_deadline_s=60, limits=HostLimits(idle_ttl_s=4)))
    await backend.create(NAME, small_config(placement=PlacementSpec(labels=("pool=elastic",))))
    assert not workers()
    began_s = time.monotonic()
    counts = [await learn(backend, "one")]
    told: dict[str, Any] = {"added_s": time.monotonic() - began_s, "nodes_for_demand": len(workers())}
    before = await backend.stats(NAME)
    told["removed_s"] = await asyncio.to_thread(until, lambda: not workers(), "the idle node goes")
    counts.append(await learn(backend, "two"))
    after = await backend.stats(NAME)
    told["is_same_history"] = after.observation_count == before.observation_count + 1
    told["drained"] = await drained(backend, address, counts)
    told["acknowledged"], told["counted"] = len(counts), (await backend.stats(NAME)).observation_count
    told["pending"] = sorted(PENDING)
    encoders.close()
    return told


class Tenant:
    """Something else on a node: it does not leave when asked, so that the node stays until its deadline."""

    def is_here(self) -> bool:
        return True


async def drained(backend: RayBackend, address: str, counts: list[int]) -> dict[str, Any]:
    """The node is drained while the memory learns on, and something else keeps the node from ending at once."""
    old = (await backend.placement(NAME)).node
    assert old is not None
    there = NodeAffinitySchedulingStrategy(old, soft=False)
    tenant = ray.remote(Tenant).options(num_cpus=0.001, scheduling_strategy=there).remote()
    assert await tenant.is_here.remote()
    program = [str(Path(sys.executable).with_name("ray")), "drain-node", f"--address={address}", f"--node-id={old}"]
    reason = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=test", "--deadline-remaining-seconds=60"]
    await asyncio.to_thread(subprocess.run, [*program, *reason], check=True, capture_output=True, timeout=60)
    began_s = time.monotonic()
    while time.monotonic() - began_s < WAIT_S:
        counts.append(await learn(backend, f"number {len(counts)}"))
        now = await backend.placement(NAME)
        if now.node not in {None, old}:
            return {"seconds": time.monotonic() - began_s, "was_alive": old in workers()}
        await asyncio.sleep(0.5)
    raise TimeoutError("the memory moves")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as volume, autoscaled_cluster() as at:
        print(json.dumps(asyncio.run(run(at, Path(volume, "v").as_uri()))))
