"""What a writer answers about its memory beside infer: explanations, expectations, comparisons; and merging.

Mixed into ``MemoryWriter``, which says how the state is read and how a request is learned.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

from memory_core import engine
from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName, Tag
from memory_core.insight_results import (
    AttentionMap,
    DiffResult,
    ExplainResult,
    MergeResult,
    PatternMap,
    PredictResult,
    StateAddress,
)
from memory_core.results import EncodedObservation, EncodedText, ObserveOptions, ObserveResult
from memory_core.state import MemoryState
from memory_core.stored_states import StoredStates

MERGE_BATCH: Final = 256


class WriterInsight(ABC):
    """Methods of a writer that look at the whole state, or bring another one's observations in."""

    def __init__(self, name: MemoryName, stored: StoredStates) -> None:
        """``stored``: where other states come from."""
        self._name = name
        self._stored = stored
        self._merging = threading.Lock()

    @property
    @abstractmethod
    def config(self) -> MemoryConfig:
        """The memory's settings."""

    @abstractmethod
    def _require_learning(self, instead: str) -> None:
        """Raise ReadOnly, with what to do instead."""

    @abstractmethod
    def looking(self) -> AbstractContextManager[MemoryState]:
        """The state, which stays as it is inside the ``with``; it must not be changed."""

    @abstractmethod
    def observe(
        self, observations: Sequence[EncodedObservation], options: ObserveOptions | None = None
    ) -> ObserveResult:
        """Learn one request durably."""

    def explain(self, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """What the strongest patterns stand for."""
        with self.looking() as state:
            return engine.explain(state, self._name, top_k, domain)

    def attention_map(self, query: EncodedText, top_k: int = 5) -> AttentionMap:
        """Which words of a query lead to which patterns."""
        with self.looking() as state:
            return engine.attention_map(state, self._name, query, top_k)

    def pattern_map(self, limit: int = 300) -> PatternMap:
        """The strongest patterns in two dimensions."""
        with self.looking() as state:
            return engine.pattern_map(state, self._name, limit)

    def predict_next(
        self, text: EncodedText | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """What is expected after a text or after the last turn of a session; NotFound for a session never seen."""
        with self.looking() as state:
            return engine.predict_next(state, self._name, text=text, session=session, top_k=top_k)

    def diff(
        self, other: MemoryName, tag: Tag | None = None, other_tag: Tag | None = None, limit: int = 20
    ) -> DiffResult:
        """How this memory (now, or at ``tag``) differs from another (at ``other_tag``, or its newest checkpoint).

        ``other`` may be this memory: then no ``other_tag`` means now. NotFound, Conflict (ENCODER_MISMATCH).
        """
        if other_tag is None and other != self._name:
            other_tag = self._stored.newest_tag(other)
        here, there = StateAddress(self._name, tag), StateAddress(other, other_tag)
        return engine.diff(self._state_at(here), self._state_at(there), (here, there), limit)

    def merge(self, other: MemoryName, tag: Tag | None = None) -> MergeResult:
        """Learn what another memory's checkpoint (the newest without ``tag``) knows and this one does not.

        Its exemplars are observed with the keys they have, in requests that are durable one by one. Cut short, a
        repeated merge learns what is missing and nothing twice. Raises what ``observe`` raises, NotFound, and
        Conflict (ENCODER_MISMATCH).
        """
        self._require_learning("Merge into one that learns.")
        other_tag = tag or self._stored.newest_tag(other)
        taught = self._stored.load(other, other_tag)
        with self._merging:
            with self.looking() as state:
                new, known = engine.merge_observations(state, taught)
                before = state.pattern_count
            for start in range(0, len(new), MERGE_BATCH):
                self.observe(new[start : start + MERGE_BATCH])
        with self.looking() as state:
            return MergeResult(
                memory=self._name,
                other=other,
                other_tag=other_tag,
                texts_merged=len(new),
                texts_known=known,
                patterns_before=before,
                patterns_after=state.pattern_count,
                observation_count=state.observation_count,
            )

    def _state_at(self, address: StateAddress) -> MemoryState:
        if address.tag is not None:
            return self._stored.load(address.memory, address.tag)
        with self.looking() as state:
            return state.clone()
