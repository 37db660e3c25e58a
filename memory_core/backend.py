"""The seam: everything above the core speaks to this Protocol and to nothing below it.

Two implementations: ``memory_core.local_backend`` (in this process) and ``cluster.ray_backend`` (Ray actors
that hold them). ``memory_core.testing.backend_conformance`` is the suite that both pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memory_core.config import MemoryConfig
from memory_core.family_backend import FamilyBackend
from memory_core.ids import EncoderId, MemoryName, Seq, Tag
from memory_core.insight_results import (
    Activity,
    AttentionMap,
    DiffResult,
    ExplainResult,
    MergeResult,
    PatternMap,
    PredictResult,
)
from memory_core.progress import OnProgress
from memory_core.results import (
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    ForgetReceipt,
    ForgetSelection,
    ForkResult,
    InferOptions,
    InferResult,
    MemoryInfo,
    MemoryPage,
    MemoryStats,
    Observation,
    ObserveOptions,
    ObserveResult,
    ReencodeResult,
    RestoreResult,
    RollbackResult,
    SurpriseResult,
)
from memory_core.storage_backend import StorageBackend
from memory_core.terms import MemoryTerms, TermsChange, Versions


class MemoryBackend(StorageBackend, FamilyBackend, Protocol):
    """Named memories. Every method raises ``NeuralMemoryError`` subclasses only; an unknown name raises NotFound."""

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """Create an empty memory; Conflict when the name is taken, InvalidInput when the encoder does not fit."""
        ...

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """Memories in name order, from storage alone."""
        ...

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        """Counts, hash and capacity of one memory; ``detailed`` also measures how full it is."""
        ...

    async def change(self, name: MemoryName, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """Change what may change of a memory.

        ``only_if``, here and below: PreconditionFailed unless the memory has one of these weight hashes at the instant
        of the change.
        """
        ...

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        """Remove a memory, its journal and checkpoints. Blobs that other memories reach stay."""
        ...

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """Learn. Answers only after the journal record is durable."""
        ...

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        """Answer from what was learned; changes nothing."""
        ...

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        """Novelty of each text, beside all that is known or what is known of a domain; changes nothing."""
        ...

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """What the strongest patterns stand for."""
        ...

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        """Which words of a query lead to which patterns, and by which channels."""
        ...

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        """The strongest patterns in two dimensions."""
        ...

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        """What was learned last, oldest first."""
        ...

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """What is expected after a text or after the last turn of a session; NotFound (SESSION_NOT_FOUND)."""
        ...

    async def diff(
        self,
        name: MemoryName,
        other: MemoryName,
        *,
        tag: Tag | None = None,
        other_tag: Tag | None = None,
        limit: int = 20,
    ) -> DiffResult:
        """How a memory differs from another, or from a version of itself.

        Without a tag the memory itself is taken as it is now, another one at its newest checkpoint.
        NotFound (CHECKPOINT_NOT_FOUND), Conflict (ENCODER_MISMATCH).
        """
        ...

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        """Learn what a checkpoint of another memory (the newest without ``tag``) knows and this one does not.

        Durable like observe; a repeated merge learns nothing twice. NotFound, Conflict (ENCODER_MISMATCH), ReadOnly.
        """
        ...

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        """Merge near-duplicate patterns and rehearse exemplars; atomic.

        ``ewc_lambda`` holds the weights where they were. ``on_progress`` is told the share done and the phase, on the
        caller's loop; what it raises, or cancelling the caller, ends the work before its next step with the memory as
        it was.
        """
        ...

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """Leave out what is chosen, in the state and in every file but published versions; atomic.

        A dry run only tells what would go. InvalidInput when the selection makes no sense.
        """
        ...

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        """A new memory that learns this one's exemplars through another encoder; Conflict when its name is taken."""
        ...

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        """Publish the current state under a tag; Conflict when the tag exists."""
        ...

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """Checkpoints of one memory, newest first."""
        ...

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        """Go back to a checkpoint; NotFound (CHECKPOINT_NOT_FOUND) when the tag is unknown."""
        ...

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """Go back to an earlier position; NotFound (SEQ_NOT_IN_JOURNAL) when the journal does not reach it any more.

        InvalidInput when the memory has never been there.
        """
        ...

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """A new memory from a checkpoint of this one, copying no blob; Conflict when the new name is taken."""
        ...

    async def close(self) -> None:
        """Release everything in this process. What was acknowledged is already durable."""
        ...
