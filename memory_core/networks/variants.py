"""Which network a memory's settings ask for."""

from __future__ import annotations

from typing import Final

import torch

from memory_core.config import MemoryConfig
from memory_core.networks.layered import LayeredNetwork
from memory_core.networks.layers import Shape
from memory_core.networks.linear import LinearNetwork
from memory_core.networks.mini_batch import Recipe
from memory_core.networks.network import Network
from memory_core.networks.sparse import SparseNetwork

EXPANSION: Final = 4
TTT_MINI_BATCH: Final = 16
TITANS_CHUNK: Final = 64


def open_network(config: MemoryConfig, device: torch.device) -> Network:
    """The network of ``config.variant`` on a device."""
    if config.variant == "sparse":
        return SparseNetwork(config, device)
    if config.variant == "linear" and config.linear_rule != "ttt":
        return LinearNetwork(config, device)
    return LayeredNetwork(config, device, recipe_of(config))


def recipe_of(config: MemoryConfig) -> Recipe:
    """TTT-Linear and TTT-MLP (arXiv 2407.04620, 2.7), or Titans' deep memory (arXiv 2501.00663, 3.1)."""
    dim = config.key_dim
    hidden = EXPANSION * dim
    if config.variant == "titans":
        widths = (dim, *[hidden] * (config.depth - 1), dim)
        anneal_width = dim if config.depth == 1 else 2 * dim
        return Recipe(Shape(widths, "silu", "plain"), 0.5, anneal_width, TITANS_CHUNK, has_dual_losses=False)
    widths = (dim, dim) if config.variant == "linear" else (dim, hidden, dim)
    # The layer norm anneals too: its deviation grows with what is stored.
    return Recipe(Shape(widths, "gelu", "residual"), dim, 10 * dim, TTT_MINI_BATCH, has_dual_losses=True)
