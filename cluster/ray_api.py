"""The only module of this package that imports Ray.

Turns what Ray raises into two things: the ``NeuralMemoryError`` that the callee raised, or ``OwnerLost`` when the
actor went away before it answered.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import ray
from ray._private.state import available_resources_per_node
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError, TaskCancelledError
from ray.util import placement_group, placement_group_table, remove_placement_group
from ray.util.metrics import Counter, Gauge, Histogram
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.host_meter import COUNTERS, GAUGES, HISTOGRAMS, Measure
from cluster.packed import Packed, pack_call, unpack_answer
from cluster.placement import FanOut, Needs, NodeFacts
from memory_core.errors import Internal, NeuralMemoryError, Unavailable

NAMESPACE: Final = "neural-memory"
_CALLS_AT_ONCE: Final = 4096
_START_ATTEMPTS: Final = 3
_CPU_SHARE: Final = 0.001
_NODE_LABEL: Final = "ray.io/node-id"
_NODE_TIMEOUT_S: Final = 5.0
_START_TIMED_OUT: Final = "timed out during startup"
# A dead node is refused connections: five refusals in a row end it, which takes Ray 15 s with its own period. One that
# is only slow has ten seconds for each answer, whatever the period.
HEALTH_CHECK_PERIOD_MS: Final = 1000

Owner: TypeAlias = ActorHandle[Any]


class OwnerLost(Exception):
    """The actor died, restarts or is unreachable. Whether it did the work is unknown."""


def owner_of(actor_name: str, kind: type[Packed], needs: Needs, *args: Any) -> Owner:
    """The named actor, created if there is none, on a node that has what it needs. Blocks; call it in a thread.

    The actor outlives its creator, restarts when its process dies, and never repeats a call by itself.
    """
    options: dict[str, Any] = {
        "name": actor_name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": _CALLS_AT_ONCE,
        # For Ray's dashboard the control service would keep some 3 KB of each of the last 100,000 calls.
        "enable_task_events": False,
        **_scheduling(needs),
    }
    try:
        made: Owner = ray.remote(kind).options(**options).remote(*args)
        return made
    except RayError as error:
        raise OwnerLost(type(error).__name__) from error


def _scheduling(needs: Needs) -> dict[str, Any]:
    options: dict[str, Any] = {"num_cpus": 0}
    if needs.gpus:
        options["num_gpus"] = needs.gpus
    if needs.accelerator:
        options["accelerator_type"] = needs.accelerator
    if needs.labels or needs.avoid_node:
        # What takes nothing at all is no demand for the autoscaler.
        options["num_cpus"] = _CPU_SHARE
        options["label_selector"] = needs.label_selector
    if needs.avoid_node:
        options["label_selector"][_NODE_LABEL] = f"!{needs.avoid_node}"
    if needs.ram_bytes:
        options["memory"] = needs.ram_bytes
    if needs.near_node:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(needs.near_node, soft=True)
    elif needs.strategy == "spread":
        options["scheduling_strategy"] = "SPREAD"
    return options


def nodes() -> list[NodeFacts]:
    """The nodes that are alive. Blocks on the cluster."""
    free = available_resources_per_node()
    return [
        NodeFacts(
            total=node["Resources"],
            free=free.get(node["NodeID"], {}),
            labels=node.get("Labels") or {},
            node_id=node["NodeID"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def nodes_for(fan_out: FanOut, timeout_s: float) -> list[str] | None:
    """Where Ray would put processes that start together; None when they did not fit within ``timeout_s``. Blocks.

    Until then they are demand that an autoscaler sees. The reservation is given back at once: who starts them says
    which node is meant for which, and goes elsewhere if somebody was quicker.
    """
    labels = fan_out.needs.label_selector
    group = placement_group(
        [fan_out.bundle] * fan_out.count,
        strategy=fan_out.ray_strategy,
        bundle_label_selector=[labels] * fan_out.count if labels else None,
    )
    try:
        if not group.wait(timeout_s):
            return None
        chosen: dict[int, str] = placement_group_table(group)["bundles_to_node_id"]
        return [chosen[number] for number in range(fan_out.count)]
    finally:
        remove_placement_group(group)


def own_node() -> str:
    """The node of the calling process."""
    return str(ray.get_runtime_context().get_node_id())


def own_node_leaves() -> bool:
    """Whether the node of the calling process is being drained. Blocks; False while the cluster does not answer."""
    from ray._private.worker import global_worker

    with suppress(Exception):  # Ray raises no narrower one
        return own_node() in global_worker.gcs_client.get_draining_nodes(timeout=_NODE_TIMEOUT_S)
    return False


def owners_named(prefixes: tuple[str, ...]) -> list[Owner]:
    """All actors of this project whose names start so. Blocks on the cluster."""
    listed = ray.util.list_named_actors(all_namespaces=True)
    names = [one["name"] for one in listed if one["namespace"] == NAMESPACE and one["name"].startswith(prefixes)]
    return [owner for name in names if (owner := find_owner(name)) is not None]


def find_owner(actor_name: str) -> Owner | None:
    """The named actor if it exists. Blocks on the cluster."""
    try:
        found: Owner = ray.get_actor(actor_name, namespace=NAMESPACE)
    except (ValueError, RayError):
        return None
    return found


def answers(actor_name: str, timeout_s: float) -> bool:
    """Whether the named actor is there and answers within ``timeout_s``. Blocks."""
    owner = find_owner(actor_name)
    if owner is None:
        return False
    try:
        ray.get(owner.pid.remote(), timeout=timeout_s)
    except RayError:
        return False
    return True


def end_owner(owner: Owner) -> None:
    """Kill the actor for good, so that the next call makes a new one. No error when it is gone already."""
    try:
        ray.kill(owner, no_restart=True)
    except (ValueError, RayError):
        return


def end_own_actor() -> None:
    """End the actor that this process is, for good. What calls it may run a moment longer."""
    end_owner(ray.get_runtime_context().current_actor)


async def call(owner: Owner, method: str, *args: Any, timeout_s: float, **options: Any) -> Any:
    """Call an actor's method. Raises what it raised, OwnerLost, or Unavailable after ``timeout_s``."""
    try:
        async with asyncio.timeout(timeout_s):
            return unpack_answer(await owner.packed.remote(method, pack_call(args, options)))
    except RayTaskError as error:
        raise _raised_by_callee(error) from None
    except RayActorError as error:
        raise OwnerLost(type(error).__name__) from None
    except (TimeoutError, GetTimeoutError):
        raise Unavailable(
            f"The memory did not answer within {timeout_s:.0f} s.",
            hint="Try again; it may be loading or busy.",
            retry_after_s=1.0,
        ) from None
    except TaskCancelledError:
        raise Unavailable("The call was cancelled.", hint="Try again.", retry_after_s=1.0) from None


def _raised_by_callee(error: RayTaskError) -> NeuralMemoryError:
    cause = error.cause
    if isinstance(cause, NeuralMemoryError):
        return cause
    # The text of a foreign exception can quote an observation, so only its class crosses.
    return Internal(f"The memory failed on this call ({type(cause).__name__}).", hint="Look at the log of its actor.")


class RayMeter:
    """Meter that Ray exports: each node's agent serves it to Prometheus, with ``ray_`` before each name."""

    def __init__(self) -> None:
        def named(measure: Measure) -> dict[str, Any]:
            return {"description": measure.about, "tag_keys": measure.labels}

        self._counters = {one: Counter(one.name, **named(one)) for one in COUNTERS}
        self._gauges = {one: Gauge(one.name, **named(one)) for one in GAUGES}
        self._histograms = {one: Histogram(one.name, boundaries=[*one.bounds], **named(one)) for one in HISTOGRAMS}

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        """See Meter. Nothing is counted where Ray refuses: no call may fail for its figures."""
        with suppress(Exception):
            if measure in self._counters:
                self._counters[measure].inc(value, labels)
            elif measure in self._gauges:
                self._gauges[measure].set(value, labels)
            else:
                self._histograms[measure].observe(value, labels)


def metrics_urls() -> list[str]:
    """Where Prometheus finds the figures of each node. Blocks on the cluster."""
    return [
        f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        for node in ray.nodes()
        if node["Alive"]
    ]


def connect_ray(address: str) -> None:
    """Join the cluster at an address, as a driver; ``auto`` is the one that this machine belongs to."""
    _show_token()
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def start_local_ray(folder: str, *, object_store_bytes: int, cpus: int | None = None) -> str:
    """Start Ray on this machine alone, with its files in ``folder``; gives the folder of its logs.

    Ray gives its own node 30 seconds to register, which a machine that is busy with other work can miss: then once
    more, twice at most.
    """
    for attempt in range(_START_ATTEMPTS):
        try:
            context = ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=object_store_bytes,
                _temp_dir=folder,
            )
        except Exception as error:  # Ray raises no narrower one
            if _START_TIMED_OUT not in str(error) or attempt == _START_ATTEMPTS - 1:
                raise
            ray.shutdown()
        else:
            return str(context.address_info["session_dir"]) + "/logs"
    raise Unavailable("Ray did not start.", hint="Try again when the machine is less busy.")


def join_local_node(port: int) -> str | None:
    """Connect to the head that runs on this machine; gives the folder of its logs, None while it does not answer."""
    _show_token()
    try:
        context = ray.init(
            address=f"{ray.util.get_node_ip_address()}:{port}",
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception:  # Ray raises no narrower one
        return None
    return str(context.address_info["session_dir"]) + "/logs"


def _show_token() -> None:
    """Use this machine's token if there is one and ``RAY_AUTH_MODE`` does not say otherwise.

    A head that is started here asks for it by that rule, but Ray shows it to no cluster that has an explicit address.
    """
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def leave() -> None:
    """Disconnect from Ray, and end what this process started of it."""
    ray.shutdown()


class SimulatedNodes:
    """Raylets of one machine that form a cluster. The first one holds the cluster's control service."""

    def __init__(self, cluster: Any, node_options: dict[str, Any]) -> None:
        self._cluster = cluster
        self._node_options = node_options

    def add(self) -> None:
        """One node more; returns once it takes work."""
        self._cluster.add_node(**self._node_options)

    def raylet_pids(self) -> list[int]:
        """Processes of the nodes that may be killed: all but the first."""
        found = [node.all_processes.get("raylet", ()) for node in self._cluster.worker_nodes]
        return [one.process.pid for processes in found for one in processes if one.process.poll() is None]

    def control_pids(self) -> list[int]:
        """The process of the cluster's control service."""
        found = self._cluster.head_node.all_processes.get("gcs_server", ())
        return [one.process.pid for one in found if one.process.poll() is None]

    def restart_control(self) -> None:
        """Start the control service again after its process died; it reads its tables, if they are in Redis."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)
        self._cluster.head_node.start_gcs_server()

    def stop(self) -> None:
        """End all of them."""
        ray.shutdown()
        self._cluster.shutdown()


def start_nodes(folder: str, count: int, *, cpus: int, object_store_bytes: int) -> SimulatedNodes:
    """Start ``count`` nodes with their files in ``folder``, and connect to them."""
    from ray._common.utils import get_default_ray_temp_dir
    from ray.cluster_utils import Cluster

    # It notes its address in the default folder, wherever its own files are.
    Path(get_default_ray_temp_dir()).mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": object_store_bytes}
    head = {
        **options,
        "include_dashboard": False,
        "temp_dir": folder,
        "_system_config": {"health_check_period_ms": HEALTH_CHECK_PERIOD_MS},
    }
    # Without exit hooks: those would need the main thread for every node, and ``stop`` ends them all.
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
    nodes = SimulatedNodes(cluster, options)
    for _ in range(count - 1):
        nodes.add()
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    return nodes
