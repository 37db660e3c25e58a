"""Throughput of the fast weights by device and key size: pairs learned and keys read a second, in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import torch

from deployments.bench.capacity import config_of
from deployments.bench.clock import seconds
from deployments.bench.pairs import PairStream
from deployments.bench.report import conditions
from memory_core.networks.variants import open_network

VARIANTS: Final = ("linear", "mlp", "titans", "sparse")
DIMS: Final = (384, 1024, 4096)
CHUNK: Final = 256
ROUNDS: Final = 5


def run_throughput(
    dims: Sequence[int] = DIMS, variants: Sequence[str] = VARIANTS, devices: Sequence[str] | None = None
) -> tuple[dict[str, float], dict[str, Any], list[dict[str, Any]]]:
    """Figures, conditions and one row per device, key size and variant; CUDA is measured where there is one."""
    present = devices or ("cpu", *(("cuda",) if torch.cuda.is_available() else ()))
    rows = [_row(name, dim, device) for device in present for dim in dims for name in variants]
    figures = {f"learned_per_s_{row['variant']}_{row['key_dim']}_{row['device']}": row["learned_per_s"] for row in rows}
    gpu = torch.cuda.get_device_name() if "cuda" in present else "none measured"
    return figures, conditions(chunk=CHUNK, threads=torch.get_num_threads(), gpu=gpu, n=len(rows)), rows


def _row(name: str, key_dim: int, device: str) -> dict[str, Any]:
    where = torch.device(device)
    stream = PairStream(CHUNK, key_dim, 7, where)
    network, values_ND = open_network(config_of(name, stream), where), stream.values(slice(0, CHUNK))
    weights, _, _ = network.update(network.initial(), stream.keys_ND, values_ND, 1.0)
    learn = [seconds(lambda: network.update(weights, stream.keys_ND, values_ND, 1.0), where) for _ in range(ROUNDS)]
    read = [seconds(lambda: network.read(weights, stream.keys_ND), where) for _ in range(ROUNDS)]
    return {
        "device": device,
        "key_dim": key_dim,
        "variant": name,
        "learned_per_s": CHUNK / median(learn),
        "read_per_s": CHUNK / median(read),
    }
