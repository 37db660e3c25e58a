"""Random pairs, small configs and the devices that the network tests run on."""

from __future__ import annotations

from typing import Any, Final

import torch

from memory_core.config import MemoryConfig
from memory_core.ids import EncoderId
from memory_core.networks.network import FastWeights

DEVICES: Final = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KEY_DIM: Final = 24


def small_config(**changes: Any) -> MemoryConfig:
    """144 rows, 4 heads of 36, 12 active."""
    settings = {"key_dim": KEY_DIM, "rows": 144, "heads": 4, "active_rows": 12, "units": 64} | changes
    return MemoryConfig(encoder=EncoderId("hash"), encoder_fingerprint="test", **settings)


def unit_rows(count: int, seed: int, dim: int = KEY_DIM, device: str = "cpu") -> torch.Tensor:
    """Random unit vectors, shape (count, dim)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, dim, generator=generator), dim=-1).to(device)


def pairs(
    count: int, seed: int, *, distinct: int | None = None, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values, shape (count, KEY_DIM) each; the keys repeat when ``distinct`` is smaller than ``count``."""
    keys_ND = unit_rows(distinct or count, 2 * seed, device=device)
    chosen = torch.arange(count, device=device) % len(keys_ND)
    return keys_ND[chosen], unit_rows(count, 2 * seed + 1, device=device)


def copy_of(weights: FastWeights) -> FastWeights:
    """Independent tensors."""
    return {name: tensor.clone() for name, tensor in weights.items()}


def assert_same_bits(left: FastWeights, right: FastWeights) -> None:
    """Equal names and bit-equal tensors."""
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


VARIANT_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "sparse": {"variant": "sparse"},
    "delta": {"variant": "linear", "linear_rule": "delta"},
    "gated-delta": {"variant": "linear", "linear_rule": "delta", "gates": "constant", "forget_gate": 0.002},
    "recursive": {"variant": "linear", "linear_rule": "recursive"},
    "ttt-linear": {"variant": "linear", "linear_rule": "ttt"},
    "mlp": {"variant": "mlp"},
    "mlp-surprise": {"variant": "mlp", "gates": "surprise", "forget_gate": 0.002},
    "titans-1": {"variant": "titans", "depth": 1},
    "titans-2": {"variant": "titans", "gates": "constant"},
    "titans-momentum": {"variant": "titans", "momentum_decay": 0.8, "forget_gate": 0.002},
    "titans-surprise": {"variant": "titans", "gates": "surprise", "momentum_decay": 0.5, "forget_gate": 0.002},
    "titans-4": {"variant": "titans", "depth": 4},
    "ttt-learned": {"variant": "linear", "linear_rule": "ttt", "gates": "learned"},
    "mlp-learned": {"variant": "mlp", "gates": "learned", "forget_gate": 0.002},
    "titans-learned": {"variant": "titans", "gates": "learned", "momentum_decay": 0.5, "forget_gate": 0.002},
}
