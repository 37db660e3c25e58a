"""Request bodies: unknown fields and wrong types are refused. Answers are what ``memory_core.results`` defines."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.access.quarantine import Choice
from memory_core.config import FastDtype, GateKind, LinearRule, SaturationPolicy, Variant
from memory_core.consolidation.plan import EWC_LAMBDA_MAX, STEPS_MAX
from memory_core.family_limits import FORKS_MAX, PROBES_MAX
from memory_core.family_results import Probe
from memory_core.ids import PatternId
from memory_core.placement_spec import Isolation, Strategy
from memory_core.results import (
    Channel,
    Consistency,
    ForgetSelection,
    InferOptions,
    MetadataValue,
    Observation,
)
from memory_core.storage_results import RetentionPolicy
from memory_core.terms import DESCRIPTION_LENGTH_MAX, TTL_MAX_S, MemoryKind, TermsChange

Label = Annotated[str, Field(description="A short string that is compared, not learned.", examples=["docs"])]
MetadataField = Annotated[
    dict[str, MetadataValue], Field(description="Plain values that travel with the exemplars.", examples=[{"page": 3}])
]


class Body(BaseModel):
    """A request body: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def example(**values: Any) -> ConfigDict:
    """Model settings that show this body in the document."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class PlacementBody(Body):
    """Where a memory wants to live; see ``memory_core.placement_spec``."""

    isolation: Isolation | None = Field(default=None, description="Beside others, or in a process of its own.")
    device: str | None = Field(default=None, description="cpu, gpu, or a part of one such as gpu:0.25.")
    accelerator: str | None = Field(default=None, description="Type of the GPU, as Ray names it.")
    labels: list[str] | None = Field(default=None, description="key=value that its node must have.")
    strategy: Strategy | None = None
    is_pinned: bool | None = Field(default=None, description="Stay in RAM when idle.")
    ram_mib: int | None = Field(default=None, description="RAM to reserve, where it has a process of its own.")
    standby: bool | None = Field(default=None, description="A process on another node follows it and takes over.")


class CreateRequest(Body):
    """A new memory. Everything but the name has a default and is fixed from then on."""

    model_config = example(name="python-expert", units=16384)

    kind: MemoryKind = Field(default="project", alias="class", description="Size, policy and life to start from.")
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH_MAX)
    read_only: bool | None = Field(default=None, description="Answers and does not learn; an expert starts so.")
    ttl_s: float | None = Field(
        default=None, ge=0.0, le=TTL_MAX_S, description="Deleted after so long; 0 for never. A session has a day."
    )
    device: str | None = Field(default=None, description="Short for the device of placement.")
    name: str = Field(description="1 to 128 letters, digits, '.', '_' or '-'.")
    encoder: str | None = None
    encoder_fingerprint: str | None = Field(default=None, description="Refused unless it is the served encoder's.")
    key_dim: int | None = Field(default=None, description="Refused unless it is the served encoder's.")
    variant: Variant | None = None
    units: int | None = Field(default=None, description="Patterns the memory can hold.")
    rows: int | None = None
    heads: int | None = None
    active_rows: int | None = None
    dtype: FastDtype | None = Field(default=None, description="Of the fast weights.")
    gates: GateKind | None = Field(default=None, description="How the step size follows the stream.")
    linear_rule: LinearRule | None = None
    depth: int | None = Field(default=None, description="Layers of the titans variant, 1 to 4.")
    momentum_decay: float | None = None
    forget_gate: float | None = None
    learning_rate: float | None = Field(default=None, description="0 to 1; 0 makes the memory read-only.")
    surprise_gate: float | None = None
    saturation: SaturationPolicy | None = None
    exemplars_per_pattern: int | None = None
    language: str | None = None
    seed: int | None = None
    placement: PlacementBody | None = None
    durability: str | None = Field(default=None, description="sync, group or group(MS); as the service if absent.")

    @model_validator(mode="after")
    def _one_device(self) -> CreateRequest:
        if self.device is not None and self.placement is not None and self.placement.device is not None:
            raise ValueError("send device once, here or in placement")
        return self

    def chosen(self) -> dict[str, Any]:
        """What was asked for, without the name, as ``complete_spec`` takes it."""
        asked = self.model_dump(exclude_none=True, exclude={"name", "kind", "device"})
        if self.device is not None:
            asked["placement"] = {**asked.get("placement", {}), "device": self.device}
        return {"class": self.kind, **asked}


class ChangeRequest(Body):
    """What shall change of a memory; what is left out stays. ``ttl_s`` counts from now, null is for ever."""

    model_config = example(description="What the team knows of the harbour", ttl_s=604800)

    description: str | None = Field(default=None, max_length=DESCRIPTION_LENGTH_MAX)
    read_only: bool | None = Field(default=None, description="Answers and does not learn.")
    ttl_s: float | None = Field(default=None, gt=0.0, le=TTL_MAX_S)

    @model_validator(mode="after")
    def _something(self) -> ChangeRequest:
        if not self.model_fields_set:
            raise ValueError("say what shall change")
        return self

    def to_change(self) -> TermsChange:
        """The core's value."""
        is_for_ever = "ttl_s" in self.model_fields_set and self.ttl_s is None
        return TermsChange(
            description=self.description, is_read_only=self.read_only, ttl_s=0.0 if is_for_ever else self.ttl_s
        )


class ObservationBody(Body):
    """One text to learn."""

    text: str
    domain: Label | None = None
    session: Label | None = None
    occurred_at: str | None = Field(default=None, description="Your own time string.")
    metadata: MetadataField = Field(default_factory=dict)

    def to_observation(self) -> Observation:
        """The core's value."""
        return Observation(
            text=self.text,
            domain=self.domain,
            session=self.session,
            occurred_at=self.occurred_at,
            metadata=dict(self.metadata),
        )


class ObserveRequest(Body):
    """One ``text`` (with its domain, session, time, metadata), or a list of ``observations`` that is learned as one."""

    model_config = example(text="A context manager closes the file when the block ends.", domain="python")

    text: str | None = None
    domain: Label | None = None
    session: Label | None = None
    occurred_at: str | None = None
    metadata: MetadataField | None = None
    observations: list[ObservationBody] | None = None
    learning_rate: float | None = Field(default=None, ge=0.0, le=1.0, description="Scales this request's step.")

    @model_validator(mode="after")
    def _one_form(self) -> ObserveRequest:
        if (self.text is None) == (self.observations is None):
            raise ValueError("send either text or observations")
        if self.observations is not None and {"domain", "session", "occurred_at", "metadata"} & self.model_fields_set:
            raise ValueError("domain, session, occurred_at and metadata belong inside each of the observations")
        return self

    def to_observations(self) -> tuple[Observation, ...]:
        """The core's values, in order."""
        if self.observations is not None:
            return tuple(one.to_observation() for one in self.observations)
        return (
            Observation(
                text=self.text or "",
                domain=self.domain,
                session=self.session,
                occurred_at=self.occurred_at,
                metadata=dict(self.metadata or {}),
            ),
        )


class InferRequest(Body):
    """A question. Filters keep only exemplars that match all the given values."""

    model_config = example(prompt="How do I make sure a file gets closed?", pattern_limit=3)

    prompt: str
    pattern_limit: int = Field(default=5, ge=1, le=50)
    temperature: float = Field(default=1.0, ge=0.0, le=2.0, description="Above 1 more patterns share the answer.")
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000, description="Words and marks of the response.")
    channels: list[Channel] | None = Field(default=None, min_length=1, description="Score with these only.")
    domain: Label | None = None
    metadata: MetadataField = Field(default_factory=dict)
    occurred_from: Label | None = None
    occurred_to: Label | None = None
    consistency: Consistency = Field(default="latest", description="any: a standby may answer, a moment behind.")

    def to_options(self) -> InferOptions:
        """The core's value."""
        return InferOptions(
            pattern_limit=self.pattern_limit,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            channels=tuple(self.channels) if self.channels is not None else None,
            domain=self.domain,
            metadata=dict(self.metadata),
            occurred_from=self.occurred_from,
            occurred_to=self.occurred_to,
            consistency=self.consistency,
        )


class SurpriseRequest(Body):
    """One ``text`` or several ``texts`` to measure; nothing is learned."""

    model_config = example(text="Photosynthesis turns light into sugar.")

    text: str | None = None
    texts: list[str] | None = None
    domain: Label | None = Field(default=None, description="Compare only with what is known of it.")

    @model_validator(mode="after")
    def _one_form(self) -> SurpriseRequest:
        if (self.text is None) == (self.texts is None):
            raise ValueError("send either text or texts")
        return self

    def to_texts(self) -> tuple[str, ...]:
        """The texts, in order."""
        return tuple(self.texts) if self.texts is not None else (self.text or "",)


class ConsolidateRequest(Body):
    """How many rounds of rehearsal, and how strongly the weights are held where they were (0: not at all)."""

    model_config = example(steps=1, ewc_lambda=0.01)

    steps: int = Field(default=1, ge=1, le=STEPS_MAX)
    ewc_lambda: float = Field(default=0.0, ge=0.0, le=EWC_LAMBDA_MAX, allow_inf_nan=False)


class ForgetRequest(Body):
    """Which exemplars shall go: those that meet every condition given, at least one. Times are ISO 8601."""

    model_config = example(subject="Ana Petrovic", dry_run=True)

    subject: str | None = Field(default=None, description="All of its words that carry meaning are in the exemplar.")
    patterns: list[int] = Field(default_factory=list, max_length=1024)
    seq_from: int | None = Field(default=None, description="Position, inclusive.")
    seq_to: int | None = Field(default=None, description="Position, inclusive.")
    occurred_from: Label | None = None
    occurred_to: Label | None = Field(default=None, description="Inclusive; a date means its whole day.")
    metadata: MetadataField = Field(default_factory=dict, description="Values an exemplar has, such as its source.")
    dry_run: bool = Field(default=False, description="Only tell what would go.")

    def to_selection(self) -> ForgetSelection:
        """The core's value."""
        chosen = self.model_dump(exclude={"patterns", "dry_run"})
        return ForgetSelection(patterns=tuple(map(PatternId, self.patterns)), **chosen)


class ReencodeRequest(Body):
    """The encoder to go to, and the name of the memory that is made with it."""

    model_config = example(encoder="static", new_name="python-expert-static")

    encoder: str
    new_name: str


class AttentionRequest(Body):
    """A query to look at word by word."""

    model_config = example(query="How do I make sure a file gets closed?", top_k=5)

    query: str
    top_k: int = Field(default=5, ge=1, le=100, description="Patterns to show.")


class PredictRequest(Body):
    """What was just said: a ``text``, or the last turn of a ``session``."""

    model_config = example(text="How was your trip?", top_k=5)

    text: str | None = None
    session: Label | None = None
    top_k: int = Field(default=5, ge=1, le=100, description="Continuations to show.")

    @model_validator(mode="after")
    def _one_form(self) -> PredictRequest:
        if (self.text is None) == (self.session is None):
            raise ValueError("send either text or session")
        return self


class MergeRequest(Body):
    """The memory to learn from, and which of its checkpoints; the newest without a tag."""

    model_config = example(other="python-expert-2", tag="v1.0")

    other: str
    tag: str | None = None


class CheckpointRequest(Body):
    """A tag for the current state. Tags are never moved."""

    model_config = example(tag="v1.0", description="After the first import")

    tag: str
    description: str = Field(default="", max_length=1024)
    include_momentum: bool = True


class RestoreRequest(Body):
    """The checkpoint to go back to."""

    model_config = example(tag="v1.0")

    tag: str
    restore_momentum: bool = True


class RollbackRequest(Body):
    """The position to go back to; observe and stats tell positions."""

    model_config = example(to_seq=120)

    to_seq: int = Field(ge=0, le=2**63 - 1)


class ForkRequest(Body):
    """The checkpoint to start from and the name of the new memory."""

    model_config = example(tag="v1.0", name="python-expert-2")

    tag: str
    name: str


class FanOutRequest(Body):
    """The checkpoint to start from, and how many memories: they are called ``name-1``, ``name-2`` and so on."""

    model_config = example(tag="v1.0", name="try", count=4)

    tag: str
    name: str
    count: int = Field(ge=1, le=FORKS_MAX)


class ProbeBody(Body):
    """A text that a fork may have learned, and the question to find it by; without one its own words."""

    text: str
    question: str | None = None


class CompareRequest(Body):
    """What forks are compared by."""

    model_config = example(probes=[{"text": "Ana moved to Porto.", "question": "Where does Ana live?"}])

    probes: list[ProbeBody] = Field(min_length=1, max_length=PROBES_MAX)

    def to_probes(self) -> list[Probe]:
        """The core's values."""
        return [Probe(text=one.text, question=one.question) for one in self.probes]


class PromoteRequest(Body):
    """The fork's version to promote; made now if there is none under this tag."""

    model_config = example(tag="v2.0")

    tag: str


class SettleRequest(Body):
    """Which of the observations that wait: at these positions, of this source; all when neither is given."""

    model_config = example(source="feed")

    seqs: list[int] = Field(default_factory=list, max_length=10_000)
    source: Label | None = Field(default=None, description="The metadata field source.")

    def to_choice(self) -> Choice:
        """The value that Quarantine takes."""
        return Choice(seqs=tuple(self.seqs), source=self.source)


class RetentionBody(Body):
    """Every checkpoint that any rule keeps stays; without a number nothing is ever pruned."""

    model_config = example(keep_last=24, keep_younger_than_s=604800)

    keep_last: int | None = Field(default=None, ge=0, le=1 << 40, description="So many of the newest.")
    keep_younger_than_s: int | None = Field(default=None, ge=0, le=1 << 40)
    keep_tagged: bool = Field(default=True, description="Keep all but periodic ones, whose tags begin with `auto-`.")

    def to_policy(self) -> RetentionPolicy:
        """The core's value."""
        return RetentionPolicy(**self.model_dump())


class PruneRequest(Body):
    """By the memory's own rules, or by ``policy``."""

    model_config = example(dry_run=True)

    policy: RetentionBody | None = None
    dry_run: bool = Field(default=False, description="Only tell what would go.")


class CollectRequest(Body):
    """How long an object must have lain before it can be garbage."""

    model_config = example(dry_run=True)

    grace_s: float = Field(default=3600.0, ge=0.0, le=1e9)
    dry_run: bool = Field(default=False, description="Only tell what would go.")
