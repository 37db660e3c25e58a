"""What looking into a memory returns: plain frozen values, like those of ``results``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from memory_core.ids import MemoryName, PatternId, Seq, Tag
from memory_core.results import Exemplar


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternExplanation:
    """What one pattern stands for. ``words``: its most characteristic ones, as they were written.

    exemplar: the medoid, the text most like the pattern's other texts. strength: uses x recency x surprise at birth.
    learned_at_seq and learned_at: position and the caller's own time of the observation that made the pattern.
    activation_count: observations that were recognised as this pattern, the first included.
    """

    pattern: PatternId
    description: str
    words: tuple[str, ...]
    exemplar: Exemplar
    examples: tuple[Exemplar, ...]
    strength: float
    learned_at_seq: Seq
    learned_at: str | None
    activation_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainResult:
    """The strongest patterns, strongest first. ``pattern_count``: patterns that the filter lets through."""

    memory: MemoryName
    pattern_count: int
    patterns: tuple[PatternExplanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionToken:
    """A word of the query: characters ``start:end`` of it."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRow:
    """How a query attends to one pattern. ``weight``: share over all patterns. ``channels``: score by channel.

    word_weights: for each token, how strongly the word itself leads to the pattern's own text, 0 and up; a word that
    is repeated shares its weight among its places.
    """

    pattern: PatternId
    weight: float
    channels: dict[str, float]
    word_weights: tuple[float, ...]
    exemplar: Exemplar


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMap:
    """Query words by patterns, strongest pattern first."""

    memory: MemoryName
    tokens: tuple[AttentionToken, ...]
    rows: tuple[AttentionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """A pattern that may come next. ``learned_share``: the part of ``probability`` that observed transitions gave."""

    pattern: PatternId
    probability: float
    learned_share: float
    exemplar: Exemplar


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictResult:
    """Most expected continuations, most probable first; the probabilities of all patterns sum to at most 1."""

    memory: MemoryName
    based_on: Literal["text", "session"]
    continuations: tuple[Continuation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternPoint:
    """A pattern on the map: ``x`` and ``y`` are coordinates on the two principal axes of the patterns shown."""

    pattern: PatternId
    x: float
    y: float
    strength: float
    activation_count: int
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternMap:
    """The strongest patterns in two dimensions. ``variance_shown``: share of their spread that the two axes carry."""

    memory: MemoryName
    pattern_count: int
    variance_shown: float
    points: tuple[PatternPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedEvent:
    """An observation and what it did. What is None is not known any more; ``text`` is its beginning.

    ``observed_at``: when it was learned, by the clock of the process that did it.
    """

    seq: Seq
    surprise: float
    weight_delta: float
    learned: bool
    patterns: tuple[PatternId, ...]
    text: str | None
    domain: str | None
    session: str | None
    observed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a memory learned last, oldest first. ``observations_per_minute``: over the last minute."""

    memory: MemoryName
    seq: Seq
    observations_per_minute: float
    events: tuple[LearnedEvent, ...]


class StateAddress(NamedTuple):
    """Which state of which memory; without a tag the present one."""

    memory: MemoryName
    tag: Tag | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternChange:
    """A pattern that both states have. ``texts_added`` and ``texts_removed``: its exemplar texts in one state only."""

    pattern: PatternId
    other_pattern: PatternId
    texts_added: tuple[str, ...]
    texts_removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffResult:
    """How a state differs from another one. Lists are cut at the limit asked for, counts never.

    only_here, only_there: first exemplars of patterns that one state lacks. recall_here, recall_there: share of a
    sample of this state's texts that each state finds first when asked with them; recall_moved: their difference.
    """

    memory: MemoryName
    tag: Tag | None
    other: MemoryName
    other_tag: Tag | None
    only_here_count: int
    only_there_count: int
    changed_count: int
    shared_count: int
    only_here: tuple[Exemplar, ...]
    only_there: tuple[Exemplar, ...]
    changed: tuple[PatternChange, ...]
    recall_here: float
    recall_there: float
    recall_moved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What a merge taught. ``texts_known`` were there already; ``texts_merged`` were learned."""

    memory: MemoryName
    other: MemoryName
    other_tag: Tag
    texts_merged: int
    texts_known: int
    patterns_before: int
    patterns_after: int
    observation_count: int
