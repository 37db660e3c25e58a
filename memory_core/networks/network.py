"""The fast weights M behind one Protocol: what every TTT_VARIANT can do.

Shapes: N pairs, D key_dim, V value_dim. The associative loss is Titans eq. 12, l(M; k) = ||M(k) - v||^2
(arXiv 2501.00663); a variant is the shape of M and the rule that steps down that loss.
"""

from __future__ import annotations

from typing import Protocol

import torch

FastWeights = dict[str, torch.Tensor]


class Network(Protocol):
    """Pure functions over a FastWeights value; the object itself holds slow weights only."""

    def initial(self) -> FastWeights:
        """Fast weights that have learned nothing."""
        ...

    def update(
        self, weights: FastWeights, keys_ND: torch.Tensor, values_NV: torch.Tensor, step_size: float
    ) -> tuple[FastWeights, torch.Tensor, torch.Tensor]:
        """Learn N pairs in order as one chunk: as N single steps, or as the variant's mini-batches define it.

        DONATES ``weights``: only the returned ones may be used. Returns (weights, losses_N before each step,
        delta_norms_N of each step). Raises LearningFailed with ``weights`` as they were when a number is not finite.
        """
        ...

    def read(self, weights: FastWeights, keys_ND: torch.Tensor) -> torch.Tensor:
        """M(k), shape (N, V). Titans eq. 15: a plain forward, no update."""
        ...
