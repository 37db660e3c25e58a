"""What operations take and return: plain frozen values without tensors, so they cross HTTP, MCP and Ray alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from memory_core.ids import MemoryName, PatternId, RequestId, Seq, Tag
from memory_core.placement_spec import PlacementSpec
from memory_core.terms import MemoryTerms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Keys = npt.NDArray[np.float32]
else:
    # Doors that only pass results on start without numpy.
    Keys = Any

MetadataValue = str | int | float | bool | None
Metadata = dict[str, MetadataValue]
Recommendation = Literal["learn", "skip", "consolidate"]
Channel = Literal["precision", "words", "context", "speaker", "weights"]
Consistency = Literal["latest", "any"]
Server = Literal["owner", "standby"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)


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
    """What one observation did.

    ``surprise`` is measured before learning; ``weight_delta`` is the Euclidean norm of the fast-weight change.
    """

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
    is_quarantined: bool = False


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
    """A pattern used by an answer; weights of those returned sum to at most 1. ``channels``: score by channel."""

    pattern: PatternId
    weight: float
    exemplars: tuple[Exemplar, ...]
    channels: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResult:
    """An answer. ``mode``: ``recall`` (composed from exemplars) or ``not_learned`` (confidence under the threshold).

    seq: the last position that it knows, where a position is counted. served_by: the memory's owner, or its standby.
    """

    memory: MemoryName
    response: str
    confidence: float
    mode: Literal["recall", "not_learned"]
    patterns: tuple[PatternMatch, ...]
    seq: Seq | None = None
    served_by: Server = "owner"


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
    """What a consolidation did. memory_compressed_by: the share of patterns freed.

    Stability is replay recall of ``held_out`` units, a uniform sample that was not rehearsed: before, after, and as
    ``stability_score`` the share of what read back before that still does.
    """

    memory: MemoryName
    patterns_merged: int
    memory_compressed_by: float
    stability_before: float
    stability_after: float
    stability_score: float
    held_out: int
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReencodeResult:
    """A new memory that learned another one's exemplars, in their order, through another encoder."""

    memory: MemoryName
    source: MemoryName
    encoder: str
    encoder_fingerprint: str
    observation_count: int
    pattern_count: int
    weight_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """A durable version of a memory. ``has_momentum``: see ``networks.momentum``."""

    memory: MemoryName
    tag: Tag
    seq: Seq
    weight_hash: str
    size_bytes: int
    created_at: str
    description: str
    observation_count: int
    pattern_count: int
    has_momentum: bool = True


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
class RollbackResult:
    """``observations_lost``: how many observations made after position ``seq`` are no longer in the memory."""

    memory: MemoryName
    seq: Seq
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
    placement: PlacementSpec = field(default_factory=PlacementSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPage:
    """One page of memories in name order."""

    memories: tuple[MemoryInfo, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredShare:
    """A share measured on a sample, with its 95% confidence interval."""

    value: float
    low: float
    high: float
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPoint:
    """Replay recall of what was learned at the positions ``seq_from`` to ``seq_to``."""

    seq_from: Seq
    seq_to: Seq
    recall: MeasuredShare


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityReport:
    """How full a memory is, and why; ``memory_core.consolidation.capacity`` says how each number is measured.

    capacity_used: 0 to 1, the worst of recall, pairs and units. pairs: keys in use; pairs_capacity: how many fast
    weights of this size held when it was measured. null_response: load of the weights. effective_dimension: of the
    recent keys. retention_curve: recall by age, oldest first.
    """

    capacity_used: float
    replay_recall: MeasuredShare
    replay_recall_oldest: MeasuredShare
    null_response: float
    units_used: float
    pairs: int
    pairs_capacity: int
    effective_dimension: float
    retention_curve: tuple[RetentionPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """The state of one memory. ``parameter_count`` counts all numbers fixed at creation and never changes.

    ``capacity``: measured only when asked for in detail. ``durability``: what holds for it now.
    """

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
    durability: str = "group"
    terms: MemoryTerms = field(default_factory=MemoryTerms)
    capacity: CapacityReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOptions:
    """How to read.

    pattern_limit: patterns returned. domain, metadata: keep only exemplars that match all given values. occurred_from,
    occurred_to: keep only those that occurred in between (ISO 8601, inclusive; a date means its whole day).
    channels: score with these only (None: all of ``CHANNELS``). temperature: 0 to 2, flattens the weights of the
    patterns; at 0 the strongest has it all. max_tokens: words and marks of the response at most. consistency: of the
    ``latest`` state, or of ``any`` that is durable: a standby may answer, a moment behind.
    """

    pattern_limit: int = 5
    temperature: float = 1.0
    max_tokens: int | None = None
    channels: tuple[Channel, ...] | None = None
    domain: str | None = None
    metadata: Metadata = field(default_factory=dict)
    occurred_from: str | None = None
    occurred_to: str | None = None
    consistency: Consistency = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveOptions:
    """How to learn one request. ``request_id`` makes a repeated request return its first answer."""

    request_id: RequestId | None = None
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSelection:
    """Which exemplars shall go: those that meet every condition given; at least one must be.

    subject: all of its content words are in the exemplar. seq_from, seq_to: positions, both inclusive. occurred_from,
    occurred_to: ISO 8601 times, both inclusive (a date means its whole day); an exemplar without one does not match.
    metadata: values that the exemplar must have, such as its source.
    """

    subject: str | None = None
    patterns: tuple[PatternId, ...] = ()
    seq_from: int | None = None
    seq_to: int | None = None
    occurred_from: str | None = None
    occurred_to: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReceipt:
    """What a forgetting removed, and what was measured of it. With ``is_dry_run`` nothing was changed.

    surprise_*, recall_*: mean surprise of up to 64 removed texts, and the share of them that infer returns; None when
    nothing matched. exemplars: what would go, at most 100, for a dry run only. checkpoints_holding, forks_holding:
    published versions and memories made from them, which keep what they have.
    """

    memory: MemoryName
    is_dry_run: bool
    patterns_removed: int
    exemplars_removed: int
    texts_measured: int
    surprise_before: float | None
    surprise_after: float | None
    recall_before: float | None
    recall_after: float | None
    checkpoints_holding: tuple[Tag, ...]
    forks_holding: tuple[MemoryName, ...]
    exemplars: tuple[Exemplar, ...]
    duration_ms: float
