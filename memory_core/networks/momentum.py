"""Momentum: what a step rule gathered about past steps, and reading never looks at.

``momentum*``: Titans' past surprise S. ``variance_R``: the gains of sparse rows. ``covariance_DD``: of recursive least
squares. Counters that anneal the step are no momentum: without them old pairs would be overwritten.
"""

from __future__ import annotations

from typing import Final

from memory_core.networks.network import FastWeights, Network

_NAMES: Final = ("momentum", "variance_", "covariance_")


def without_momentum(network: Network, weights: FastWeights) -> FastWeights:
    """The same answers, with the next step taken as if it were the first."""
    fresh = network.initial()
    return {name: fresh[name] if name.startswith(_NAMES) else tensor for name, tensor in weights.items()}
