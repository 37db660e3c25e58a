"""Gates: what a step size that follows the stream is worth, and what learning it adds.

Each network writes the same pairs with each kind of gates and is asked for all of them at growing sizes. ``learned``
gates are learned first, by the lesson that ``consolidate`` gives, from another stream of the same kind; ``untaught``
are the same gates without it. Keys are unrelated, or spread unevenly like those of text, where recall falls sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from deployments.bench.capacity_curve import Curve
from deployments.bench.pairs import CODEBOOK_SIZE, PairStream
from deployments.bench.report import conditions
from memory_core.config import MemoryConfig
from memory_core.ids import EncoderId
from memory_core.networks.gate_learning import GateLesson, learn_gates
from memory_core.networks.layered import LayeredNetwork
from memory_core.networks.network import FastWeights
from memory_core.networks.variants import open_network

NETWORKS: Final[dict[str, dict[str, Any]]] = {
    "titans": {"variant": "titans"},
    "mlp": {"variant": "mlp"},
    "linear_ttt": {"variant": "linear", "linear_rule": "ttt"},
}
KINDS: Final = ("constant", "annealed", "surprise", "untaught", "learned")
SLOPES: Final = {"": 0.0, "_textlike": 0.5}
LESSON_PAIRS: Final = 4096
SMALLEST: Final = 128
CHUNK: Final = 256
SAMPLE: Final = 1024
HOPELESS: Final = 0.2
_SEED, _LESSON_SEED = 7, 8


def run_gates(
    pairs_max: int = 8192, *, key_dim: int = 384, advance: Callable[[int], None] = lambda _: None
) -> tuple[dict[str, float], dict[str, Any], list[dict[str, Any]]]:
    """Figures, conditions and the curves' points; ``advance`` is told the pairs written."""
    figures: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    device = torch.device("cpu")
    for suffix, slope in SLOPES.items():
        stream = PairStream(pairs_max, key_dim, _SEED, device, slope=slope)
        lesson_stream = PairStream(min(LESSON_PAIRS, pairs_max), key_dim, _LESSON_SEED, device, slope=slope)
        for name in NETWORKS:
            for kind in KINDS:
                network = _network(name, kind, key_dim)
                weights = network.initial()
                if kind == "learned":
                    weights, lesson = _taught(network, weights, lesson_stream)
                    figures |= {
                        f"lesson_before_{name}{suffix}": lesson.before,
                        f"lesson_after_{name}{suffix}": lesson.after,
                    }
                curve = _curve(f"{name}_{kind}{suffix}", network, weights, stream, advance)
                figures[f"n95_{curve.name}"] = curve.n95()
                figures[f"recall_at_{curve.pairs[-1]}_{curve.name}"] = curve.recalls[-1]
                rows += curve.rows()
    told = conditions(
        key_dim=key_dim,
        n={"pairs_max": pairs_max, "lesson_pairs": len(lesson_stream.keys_ND), "codebook": CODEBOOK_SIZE},
        slopes=SLOPES,
    )
    return figures, told, rows


def _network(name: str, kind: str, key_dim: int) -> LayeredNetwork:
    gates = "learned" if kind == "untaught" else kind
    settings = {**NETWORKS[name], "gates": gates, "encoder": EncoderId("none"), "encoder_fingerprint": "none"}
    network = open_network(MemoryConfig(key_dim=key_dim, **settings), torch.device("cpu"))
    if not isinstance(network, LayeredNetwork):
        raise TypeError(f"{name} has no gates that can be learned")
    return network


def _taught(network: LayeredNetwork, weights: FastWeights, stream: PairStream) -> tuple[FastWeights, GateLesson]:
    learned, lesson = learn_gates(network, weights, stream.keys_ND, stream.values(slice(0, len(stream.keys_ND))))
    return weights | learned, lesson


def _curve(
    name: str, network: LayeredNetwork, weights: FastWeights, stream: PairStream, advance: Callable[[int], None]
) -> Curve:
    size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    curve, written, goal = Curve(name, size_bytes / 2**20, 0.0), 0, SMALLEST
    while written < len(stream.keys_ND):
        part = slice(written, min(written + CHUNK, goal))
        weights, _, _ = network.update(weights, stream.keys_ND[part], stream.values(part), 1.0)
        advance(part.stop - written)
        written = part.stop
        if written < goal:
            continue
        _measure(curve, network, weights, stream, written)
        goal = min(round(goal * 2**0.5), len(stream.keys_ND))
        if curve.recalls[-1] < HOPELESS:
            break
    return curve


def _measure(curve: Curve, network: LayeredNetwork, weights: FastWeights, stream: PairStream, written: int) -> None:
    some_S = torch.randperm(written, generator=torch.Generator().manual_seed(written))[:SAMPLE]
    tenth = max(1, written // 10)
    curve.pairs.append(written)
    for column, rows_S in (
        (curve.recalls, some_S),
        (curve.oldest, some_S % tenth),
        (curve.newest, written - 1 - some_S % tenth),
    ):
        column.append(stream.recall(network.read(weights, stream.keys_ND[rows_S]), rows_S))
