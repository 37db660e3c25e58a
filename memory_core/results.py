"""What operations take and return: plain frozen values without tensors, so they cross HTTP, MCP and Ray alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from memory_core.ids import MemoryName, PatternId, RequestId, Seq, Tag

MetadataValue = str | int | float | bool | None
Metadata = dict[str, MetadataValue]
Keys = npt.NDArray[np.float32]
Recommendation = Literal["learn", "skip", "consolidate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedText:
    """A text cut into segments with one unit-norm key each: ``keys_SD`` is float32 of shape (segments, key_dim).

    ``spans`` are the (start, end) character offsets of the segments in ``text``; together they lose no character
    that is not white space.
    """

    text: str
    spans: tuple[tuple[int, int], ...]
    keys_SD: Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One text to learn, with what travels with it. ``occurred_at`` is the caller's own time string."""

    text: str
    domain: str | None = None
    session: str | None = None
    occurred_at: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedObservation:
    """An observation with its keys: what the journal stores and a replay applies."""

    observation: Observation
    encoded: EncodedText


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveOutcome:
    """What one observation did. ``surprise`` is measured before learning; ``weight_delta`` is the Euclidean norm of the fast-weight change."""

    seq: Seq
    surprise: float
    weight_delta: float
    learned: bool
    patterns_activated: tuple[PatternId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveResult:
    """The answer to one observe request (one or many observations, applied in order as one chunk)."""

    memory: MemoryName
    outcomes: tuple[ObserveOutcome, ...]
    capacity_used: float
    observation_count: int
    is_replayed_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """A text a pattern was learned from. ``seq`` is the observation it came from."""

    text: str
    seq: Seq
    domain: str | None = None
    session: str | None = None
    occurred_at: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternMatch:
    """A pattern used by an answer; weights over the returned patterns sum to at most 1. ``channels``: score by channel."""

    pattern: PatternId
    weight: float
    exemplars: tuple[Exemplar, ...]
    channels: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResult:
    """An answer. ``mode`` is ``recall`` (composed from exemplars) or ``not_learned`` (confidence under the threshold)."""

    memory: MemoryName
    response: str
    confidence: float
    mode: Literal["recall", "not_learned"]
    patterns: tuple[PatternMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurprisingWord:
    """A word the best patterns do not explain: character span in the input and its share of the residual."""

    word: str
    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SurpriseResult:
    """Novelty of a text in [0, 1]; nothing was learned by asking."""

    memory: MemoryName
    score: float
    nearest_pattern: PatternId | None
    surprising_words: tuple[SurprisingWord, ...]
    recommendation: Recommendation
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidateResult:
    """What a consolidation did. ``memory_compressed_by`` is the share of patterns freed; stability is replay recall."""

    memory: MemoryName
    patterns_merged: int
    memory_compressed_by: float
    stability_before: float
    stability_after: float
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """A durable version of a memory."""

    memory: MemoryName
    tag: Tag
    seq: Seq
    weight_hash: str
    size_bytes: int
    created_at: str
    description: str
    observation_count: int
    pattern_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPage:
    """One page of checkpoints, newest first; ``next_cursor`` is None on the last page."""

    checkpoints: tuple[CheckpointInfo, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """``observations_lost``: how many observations made after the checkpoint are no longer in the memory."""

    memory: MemoryName
    tag: Tag
    weight_hash: str
    observations_lost: int
    warning: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkResult:
    """A new memory whose first parent is a checkpoint of another; no tensor bytes were copied."""

    memory: MemoryName
    parent: MemoryName
    parent_tag: Tag
    weight_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryInfo:
    """A line of the listing, read from storage alone."""

    name: MemoryName
    encoder: str
    variant: str
    units: int
    key_dim: int
    created_at: str
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPage:
    """One page of memories in name order."""

    memories: tuple[MemoryInfo, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """The state of one memory. ``parameter_count`` counts all numbers fixed at creation and never changes."""

    name: MemoryName
    seq: Seq
    epoch: int
    encoder: str
    variant: str
    observation_count: int
    pattern_count: int
    units: int
    parameter_count: int
    weight_hash: str
    capacity_used: float
    surprise_recent_mean: float
    learning_rate: float
    state_bytes: int
    created_at: str
    parent: str | None
    checkpoint_tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOptions:
    """How to read. ``pattern_limit``: patterns returned; filters keep only exemplars that match all given values."""

    pattern_limit: int = 5
    domain: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveOptions:
    """How to learn one request. ``request_id`` makes a repeated request return its first answer."""

    request_id: RequestId | None = None
    learning_rate: float | None = None
