"""The package titans-pytorch as an online learner of pairs, in the setting that suits it best.

Its projections are set to the identity, so that it stores the given keys and values themselves; weight decay is off
(untrained it would erase half of the memory per chunk); theta is one constant, chosen by the caller among several;
the network is its own two-layer MLP, four times wider. ``batch_size`` None is the package's default.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.func import functional_call

Weights = dict[str, Tensor]
State = tuple[Weights, Any] | None

EXPANSION: Final = 4.0
# Through a sigmoid: fifteen is one, minus fifteen is zero.
ALWAYS: Final = 15.0


class TitansPytorchCore:
    """One NeuralMemory of the package; state in, state out."""

    def __init__(
        self, key_dim: int, chunk: int, *, learning_rate: float, has_momentum: bool, is_default_batch: bool = False
    ) -> None:
        from titans_pytorch import MemoryMLP, NeuralMemory

        torch.manual_seed(0)
        self._is_default_batch = is_default_batch
        self._memory = NeuralMemory(
            dim=key_dim,
            chunk_size=chunk,
            batch_size=None if is_default_batch else chunk,
            model=MemoryMLP(key_dim, depth=2, expansion_factor=EXPANSION),
            qkv_receives_diff_views=True,
            momentum=has_momentum,
            init_momentum_bias=0.0 if has_momentum else None,
            init_decay_bias=-ALWAYS,
            init_adaptive_step_bias=ALWAYS,
            default_step_transform_max_lr=learning_rate,
            mem_model_norm_add_residual=False,
        ).eval()
        for projection in (self._memory.to_queries, self._memory.to_keys, self._memory.to_values):
            projection.weight.data.copy_(torch.eye(key_dim))

    def learn(self, state: State, keys_ND: Tensor, values_ND: Tensor) -> tuple[State, float]:
        """Store one chunk; returns the mean loss before it. By default gradients stay at the first weights."""
        weights, past = state if state is not None else (None, None)
        pairs = torch.stack([keys_ND, values_ND])[:, None]
        _, stored, (losses, _) = self._memory.store_memories(pairs, weights, past_state=past)
        learned, momentum = ({name: tensor.detach() for name, tensor in part.items()} for part in stored.states)
        kept = stored.weights if self._is_default_batch else learned
        return (dict(kept.items()), (learned, momentum)), float(losses.mean())

    def read(self, state: State, keys_ND: Tensor) -> Tensor:
        """What the memory answers to the keys."""
        assert state is not None
        weights = {name: tensor[0] for name, tensor in state[0].items()}
        with torch.no_grad():
            queries_ND = self._memory.to_queries(self._memory.retrieve_norm(keys_ND))
            answers_ND: Tensor = functional_call(self._memory.memory_model, weights, queries_ND)
        return answers_ND
