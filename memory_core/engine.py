"""The operations on a MemoryState, in one place: what a writer needs to know of the core.

``observe`` DONATES its input state: the caller keeps only the returned one (``state.clone()`` first for a snapshot).
On any error the input state is unchanged. What only looks (``infer``, ``surprise``, ``explain``, ...) never changes
it; ``consolidate`` and ``forget`` build a new one (``cut`` says what a forgetting would take). All are deterministic:
the same batches in the same order give bit-identical states.
"""

from memory_core.consolidation.capacity import capacity_used, measure_capacity
from memory_core.consolidation.consolidate import consolidate
from memory_core.consolidation.forget import cut, forget
from memory_core.consolidation.plan import ConsolidationPlan
from memory_core.insight.attention import attention_map
from memory_core.insight.comparison import diff, merge_observations
from memory_core.insight.explain import explain
from memory_core.insight.pattern_map import pattern_map
from memory_core.insight.prediction import predict_next
from memory_core.learning import observe
from memory_core.recall import infer, surprise

__all__ = [
    "ConsolidationPlan",
    "attention_map",
    "capacity_used",
    "consolidate",
    "cut",
    "diff",
    "explain",
    "forget",
    "infer",
    "measure_capacity",
    "merge_observations",
    "observe",
    "pattern_map",
    "predict_next",
    "surprise",
]
