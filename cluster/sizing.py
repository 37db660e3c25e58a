"""What a plan needs: nodes, GPUs, RAM, requests to the object store. Pure arithmetic over measured costs.

Every cost is of one core of the machine that docs/benchmarks.md names; another machine is faster or slower by a factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from cluster.constants import MEASURED, MeasuredCosts
from memory_core.errors import InvalidInput

_DIM: Final = 384
_DAY_S: Final = 86_400
_MONTH_S: Final = 30 * _DAY_S
# Pairs a second that the fast weights learn in chunks of 256, by the size of a key; between them on a straight line.
_PAIRS_PER_S: Final = ((384, 6185.0), (1024, 3538.0), (4096, 1068.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Beside MEASURED, of keys with 384 numbers; ``neural-memory bench costs`` measures them.

    Processor time: ``observe_ms`` of an observation among 64, in its host; ``question_ms`` of a question there, to a
    memory with some 5,000 patterns; ``ingress_ms`` of a request in HAProxy and the ingress,
    ``ingress_text_ms`` of each text in it beyond the first; ``encode_ms`` of a text among 64, by encoder.
    ``journal_bytes``: stored of one observation. Not measured but chosen: ``group_s``, how long a group commit waits on
    an object store, and ``busy``, the share of a core that is planned for.
    """

    observe_ms: float = 1.4
    question_ms: float = 11.6
    ingress_ms: float = 8.8
    ingress_text_ms: float = 0.2
    encode_ms: tuple[tuple[str, float], ...] = (("minilm", 13.0), ("static", 0.33), ("hash", 0.6))
    group_s: float = 0.05
    journal_bytes: int = 1_820
    busy: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """``active_share`` of the memories are in RAM at a time. Rates are of the whole cluster."""

    memories: int
    active_share: float = 0.02
    dim: int = _DIM
    obs_per_s: float = 0.0
    questions_per_s: float = 0.0
    texts_per_request: int = 64
    encoder: str = "static"
    checkpoints_per_day: float = 1.0

    def __post_init__(self) -> None:
        if self.memories < 1 or not 0 < self.active_share <= 1 or self.dim < 1 or self.texts_per_request < 1:
            raise InvalidInput("A plan needs at least one memory, an active share and a size.", hint="See size --help.")
        if self.obs_per_s < 0 or self.questions_per_s < 0 or self.checkpoints_per_day < 0:
            raise InvalidInput("Rates are not negative.", hint="See size --help.")
        if self.encoder not in {name for name, _ in Costs().encode_ms}:
            raise InvalidInput("This encoder was not measured.", hint="Use minilm, static or hash.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKind:
    """A kind of machine. ``gpus`` are planned for whole memories on them, ``gpu_gib`` each; 0 for none."""

    cores: int = 16
    ram_gib: float = 128.0
    gpus: int = 0
    gpu_gib: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The answer. ``driver``: what decides the number of nodes. Stored bytes are of all memories, one version each."""

    nodes: int
    gpus: int
    cores_learning: float
    cores_encoding: float
    cores_answering: float
    active_memories: int
    ram_gib: float
    stored_gib: float
    journal_gib_per_day: float
    s3_puts_per_s: float
    s3_lists_per_s: float
    s3_requests_per_month: float
    nodes_for_cores: int
    nodes_for_ram: int
    obs_per_s_per_memory: float
    driver: str


def size(
    load: Load, node: NodeKind | None = None, costs: Costs | None = None, measured: MeasuredCosts = MEASURED
) -> Size:
    """What the load needs on machines of this kind."""
    node, costs = node or NodeKind(), costs or Costs()
    scale = load.dim / _DIM
    active = math.ceil(load.memories * load.active_share)
    requests_per_s = load.obs_per_s / load.texts_per_request + load.questions_per_s
    learning = load.obs_per_s * costs.observe_ms / 1000 * (pairs_per_s(_DIM) / pairs_per_s(load.dim))
    encoding = (load.obs_per_s + load.questions_per_s) * dict(costs.encode_ms)[load.encoder] / 1000
    answering_ms = load.questions_per_s * costs.question_ms * scale + requests_per_s * costs.ingress_ms
    answering = (answering_ms + load.obs_per_s * costs.ingress_text_ms) / 1000
    ram_gib = active * measured.memory_rss_mib * scale / 1024
    puts_per_s, lists_per_s = store_rates(load, active, costs)
    for_cores = math.ceil((learning + encoding + answering) / (node.cores * costs.busy))
    hosts_gib = measured.host_rss_mib / 1024 * max(node.cores // 4, 1)
    if node.ram_gib * 0.9 <= hosts_gib:
        raise InvalidInput("Such a node has no room beside its processes.", hint="Give --node-ram-gib.")
    for_ram = math.ceil(ram_gib / (node.ram_gib * 0.9 - hosts_gib))
    gpus = math.ceil(ram_gib / (node.gpu_gib * 0.9)) if node.gpus and node.gpu_gib else 0
    for_gpus = math.ceil(gpus / node.gpus) if gpus else 0
    nodes = max(for_cores, for_ram, for_gpus, 1)
    drivers = {"cores": for_cores, "RAM": for_ram, "GPU memory": for_gpus}
    return Size(
        nodes=nodes,
        gpus=gpus,
        cores_learning=learning,
        cores_encoding=encoding,
        cores_answering=answering,
        active_memories=active,
        ram_gib=ram_gib,
        stored_gib=load.memories * measured.checkpoint_mb * scale / 1024,
        journal_gib_per_day=load.obs_per_s * _DAY_S * costs.journal_bytes * scale / 2**30,
        s3_puts_per_s=puts_per_s,
        s3_lists_per_s=lists_per_s,
        s3_requests_per_month=(puts_per_s + lists_per_s) * _MONTH_S,
        nodes_for_cores=for_cores,
        nodes_for_ram=for_ram,
        obs_per_s_per_memory=load.obs_per_s / active,
        driver=max(drivers, key=lambda name: drivers[name]),
    )


def store_rates(load: Load, active: int, costs: Costs) -> tuple[float, float]:
    """PUTs and LISTs a second: a group of an active memory is one of each, and so is a version."""
    requests_per_s = load.obs_per_s / load.texts_per_request
    groups_per_s = min(requests_per_s, active / costs.group_s)
    versions_per_s = active * load.checkpoints_per_day / _DAY_S
    return groups_per_s + 3 * versions_per_s, groups_per_s + versions_per_s


def pairs_per_s(dim: int) -> float:
    """Pairs a second that one core learns, by size of a key: three were measured, straight lines lie between."""
    (low, low_rate), (mid, mid_rate), (high, high_rate) = _PAIRS_PER_S
    left, right = (
        ((low, 1 / low_rate), (mid, 1 / mid_rate)) if dim <= mid else ((mid, 1 / mid_rate), (high, 1 / high_rate))
    )
    slope = (right[1] - left[1]) / (right[0] - left[0])
    return 1 / max(left[1] + slope * (dim - left[0]), left[1] * min(dim / left[0], 1))
