"""Capacity: how many pairs each kind of fast weights recalls, against an exact table of the same bytes.

Pairs are synthetic, keys are unrelated and asked again exactly: an upper bound that compares networks, not a promise
about text. N95 is where overall recall@1 falls to 95%, by interpolation over log N; a network that never falls so low
gets the last N measured. Each network sees the pairs once, in chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch

from deployments.bench.capacity_curve import TABLE, Curve, draw
from deployments.bench.clock import now_s, seconds
from deployments.bench.exact_table import ExactTable
from deployments.bench.pairs import CODEBOOK_SIZE, PairStream
from deployments.bench.report import conditions
from memory_core.config import MemoryConfig
from memory_core.ids import EncoderId
from memory_core.networks.network import FastWeights, Network
from memory_core.networks.product_keys import ProductKeys
from memory_core.networks.sparse_reference import update_one
from memory_core.networks.variants import open_network

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "linear": {"variant": "linear"},
    "linear_delta": {"variant": "linear", "linear_rule": "delta"},
    "linear_delta_constant": {"variant": "linear", "linear_rule": "delta", "gates": "constant"},
    "linear_ttt": {"variant": "linear", "linear_rule": "ttt"},
    "mlp": {"variant": "mlp"},
    "titans": {"variant": "titans"},
    "titans_momentum": {"variant": "titans", "momentum_decay": 0.9},
    "sparse": {"variant": "sparse"},
    "sparse_bf16": {"variant": "sparse", "dtype": "bfloat16"},
}
NAMES: Final = (*SETTINGS, TABLE)
SMALLEST: Final = 128
GRID_STEPS_PER_OCTAVE: Final = 2
CHUNK: Final = 256
SAMPLE: Final = 1024
HOPELESS: Final = 0.3
TIMED_WRITES: Final = 101


def run_capacity(
    names: Sequence[str] = NAMES,
    pairs_max: int = 65536,
    *,
    key_dim: int = 384,
    device: str = "cpu",
    plot: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[dict[str, float], dict[str, Any], list[dict[str, Any]]]:
    """Figures, conditions and the curves' points; ``advance`` is told the pairs written."""
    stream = PairStream(pairs_max, key_dim, 7, torch.device(device))
    curves = [_curve(name, stream, advance) for name in names]
    figures = {key: value for curve in curves for key, value in _figures(curve).items()}
    if "sparse" in names:
        figures["chunk_speedup_sparse"] = chunk_speedup(stream)
    if plot is not None:
        draw(curves, plot)
    told = conditions(
        n={"pairs_max": pairs_max, "codebook": CODEBOOK_SIZE},
        key_dim=key_dim,
        keys="independent unit vectors, asked again exactly",
        device=device,
        threads=torch.get_num_threads(),
        clock="processor time" if device == "cpu" else "wall time",
    )
    return figures, told, [row for curve in curves for row in curve.rows()]


def chunk_speedup(stream: PairStream, rounds: int = 7) -> float:
    """Time of a pair written alone by the reference over its time in a chunk, measured in turns."""
    config, device = config_of("sparse", stream), stream.keys_ND.device
    network, addresses = open_network(config, device), ProductKeys(config, device)
    weights = network.initial()
    values_ND = stream.values(slice(0, CHUNK))

    def one_by_one() -> None:
        for row in range(32):
            rows_1K, activations_1K = addresses.address(stream.keys_ND[row : row + 1])
            update_one(weights, rows_1K[0], activations_1K[0], values_ND[row], 1.0)

    def at_once() -> None:
        network.update(weights, stream.keys_ND[:CHUNK], values_ND, 1.0)

    times = [(seconds(one_by_one, device) / 32, seconds(at_once, device) / len(values_ND)) for _ in range(rounds)]
    return median(single for single, _ in times) / median(chunked for _, chunked in times)


def config_of(name: str, stream: PairStream) -> MemoryConfig:
    """Settings of a named network for the stream's keys."""
    return MemoryConfig(
        encoder=EncoderId("none"), encoder_fingerprint="none", key_dim=stream.keys_ND.shape[1], **SETTINGS[name]
    )


def _curve(name: str, stream: PairStream, advance: Callable[[int], None]) -> Curve:
    device, total = stream.keys_ND.device, len(stream.keys_ND)
    is_table = name == TABLE
    network: Network = ExactTable(stream.keys_ND.shape[1], device) if is_table else _open(name, stream)
    weights, written, spent_s = network.initial(), 0, 0.0
    size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    curve = Curve(name, size_bytes / 2**20, _ms_single_write(network, stream))
    for goal in _grid(total):
        while written < goal:
            part = slice(written, min(written + CHUNK, goal))
            keys_ND, values_ND, started = stream.keys_ND[part], stream.values(part), now_s(device)
            weights, _, _ = network.update(weights, keys_ND, values_ND, 1.0)
            spent_s += now_s(device) - started
            advance(part.stop - written)
            written = part.stop
        _measure(curve, network, weights, stream, written)
        if curve.recalls[-1] < HOPELESS:
            break
    curve.us_per_pair = spent_s / written * 1e6
    return curve


def _measure(curve: Curve, network: Network, weights: FastWeights, stream: PairStream, written: int) -> None:
    generator, tenth = torch.Generator().manual_seed(written), max(1, written // 10)
    anywhere_N = torch.randperm(written, generator=generator)[:SAMPLE]
    recalls = []
    for rows_N in (anywhere_N, anywhere_N % tenth, written - 1 - anywhere_N % tenth):
        parts = [network.read(weights, stream.keys_ND[some]) for some in rows_N.split(CHUNK)]  # type: ignore[no-untyped-call]
        recalls.append(stream.recall(torch.cat(parts), rows_N))
    for column, recall in zip((curve.recalls, curve.oldest, curve.newest), recalls, strict=True):
        column.append(recall)
    curve.pairs.append(written)


def _figures(curve: Curve) -> dict[str, float]:
    return {
        f"n95_{curve.name}": curve.n95(),
        f"pairs_per_mb_{curve.name}": curve.n95() / curve.megabytes,
        f"ms_write_{curve.name}": curve.ms_write,
        f"us_pair_in_chunk_{curve.name}": curve.us_per_pair,
        f"megabytes_{curve.name}": curve.megabytes,
    }


def _open(name: str, stream: PairStream) -> Network:
    return open_network(config_of(name, stream), stream.keys_ND.device)


def _ms_single_write(network: Network, stream: PairStream) -> float:
    device, weights = stream.keys_ND.device, network.initial()
    times = []
    for row in range(min(TIMED_WRITES, len(stream.keys_ND))):
        part, started = slice(row, row + 1), now_s(device)
        weights, _, _ = network.update(weights, stream.keys_ND[part], stream.values(part), 1.0)
        times.append(now_s(device) - started)
    return median(times) * 1000


def _grid(total: int) -> list[int]:
    octaves = GRID_STEPS_PER_OCTAVE * math.log2(max(total, SMALLEST) / SMALLEST)
    points = [round(SMALLEST * 2 ** (step / GRID_STEPS_PER_OCTAVE)) for step in range(math.floor(octaves + 1e-9) + 1)]
    return sorted({min(point, total) for point in points} | {total})
