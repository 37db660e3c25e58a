"""What a memory's own history teaches its gates: the keys of its units and the codes they lead to, oldest first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memory_core.consolidation.replay import pairs_of
from memory_core.networks.gate_learning import GateLesson, learn_gates
from memory_core.networks.layered import LayeredNetwork
from memory_core.state import MemoryState


def improve_gates(state: MemoryState, on_share: Callable[[float], None]) -> GateLesson | None:
    """Learn the parameters of learned gates in place, where that helps; None for a memory with other gates.

    ``on_share`` is told the share done; what it raises leaves the state as it was.
    """
    network = state.network
    if not isinstance(network, LayeredNetwork) or not network.has_learned_gates:
        return None
    units = state.bank.units
    owned_u = units.owned()
    age_u = state.bank.column("pattern_id_U")[units.owner_u[owned_u]]
    keys_ND, codes_NV = pairs_of(state, owned_u[np.argsort(age_u, kind="stable")])
    learned, lesson = learn_gates(network, state.fast_weights, keys_ND, codes_NV, on_share)
    state.fast_weights = state.fast_weights | learned
    return lesson
