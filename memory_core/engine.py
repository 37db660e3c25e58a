"""The operations on a MemoryState, in one place: what a writer needs to know of the core.

``observe`` DONATES its input state: the caller keeps only the returned one (``state.clone()`` first for a snapshot).
On any error the input state is unchanged. ``infer`` and ``surprise`` never change the state; ``consolidate`` and
``forget`` build a new one (``cut`` says what a forgetting would take). All are deterministic: the same batches in the
same order give bit-identical states.
"""

from memory_core.consolidation.consolidate import consolidate
from memory_core.consolidation.forget import cut, forget
from memory_core.learning import observe
from memory_core.recall import infer, surprise
from memory_core.state import MemoryState


def capacity_used(state: MemoryState) -> float:
    """Share of the units that belong to a pattern, in [0, 1]."""
    return 1.0 - state.bank.units.free_count / state.config.units


__all__ = ["capacity_used", "consolidate", "cut", "forget", "infer", "observe", "surprise"]
