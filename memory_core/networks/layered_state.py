"""Names and counters of the layered networks' fast weights."""

from __future__ import annotations

import torch

from memory_core.networks.gates import Progress
from memory_core.networks.network import FastWeights


def layer_name(depth: int) -> str:
    """Name of a weight matrix in FastWeights."""
    return f"weight{depth}_IO"


def momentum_name(depth: int) -> str:
    """Name of a matrix of past surprise S in FastWeights."""
    return f"momentum{depth}_IO"


def pack_progress(progress: Progress, device: torch.device) -> FastWeights:
    """Counters as tensors, so that a checkpoint resumes with the same gates."""
    return {
        "pair_count_1": torch.tensor([progress.pair_count], device=device),
        "surprise_mean_1": torch.tensor([progress.surprise_mean], dtype=torch.float64, device=device),
    }


def unpack_progress(weights: FastWeights) -> Progress:
    """Inverse of ``pack_progress``."""
    return Progress(int(weights["pair_count_1"]), float(weights["surprise_mean_1"]))
