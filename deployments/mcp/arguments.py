"""What each tool takes. Unknown arguments are refused; nothing heavy is imported, so that tools list at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from memory_core.config import Variant
from memory_core.consolidation.plan import EWC_LAMBDA_MAX, STEPS_MAX
from memory_core.results import MetadataValue
from memory_core.terms import MemoryKind

TopK = Annotated[int, Field(ge=1, le=100)]
Limit = Annotated[int, Field(ge=1, le=1000)]
Cursor = Annotated[str | None, Field(max_length=512)]


class Arguments(BaseModel):
    """The arguments of one call."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class MemoryArguments(Arguments):
    """Arguments of a tool that works on one memory, by default that of the connection."""

    memory: str | None = None


class ObserveArguments(MemoryArguments):
    """observe."""

    context: str
    learning_rate: float | None = Field(default=None, ge=0.0, le=1.0)
    domain: str | None = None
    encoding: Literal["utf-8", "base64"] = "utf-8"
    session: str | None = None
    metadata: dict[str, MetadataValue] | None = None
    idempotency_key: str | None = Field(default=None, description="A retry with the same key learns nothing twice.")


class InferArguments(MemoryArguments):
    """infer."""

    prompt: str
    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    domain: str | None = None
    occurred_from: str | None = Field(default=None, description="ISO 8601.")
    occurred_to: str | None = None
    return_attention: bool = False


class SurpriseArguments(MemoryArguments):
    """surprise."""

    input: str
    domain: str | None = None


class ConsolidateArguments(MemoryArguments):
    """consolidate."""

    steps: int = Field(default=1, ge=1, le=STEPS_MAX)
    ewc_lambda: float = Field(default=0.0, ge=0.0, le=EWC_LAMBDA_MAX)


class CheckpointArguments(MemoryArguments):
    """checkpoint."""

    tag: str
    description: str | None = None
    include_momentum: bool = True


class RestoreArguments(MemoryArguments):
    """restore."""

    tag: str
    restore_momentum: bool = True


class ForkArguments(MemoryArguments):
    """fork."""

    source_tag: str
    new_tag: str = Field(description="Name of the new memory.")
    description: str | None = None


class ListCheckpointsArguments(MemoryArguments):
    """list_checkpoints."""

    prefix: str = ""
    limit: Limit = 100
    cursor: Cursor = None


class StatsArguments(MemoryArguments):
    """stats."""

    detailed: bool = False


class AttentionMapArguments(MemoryArguments):
    """attention_map."""

    query: str
    top_k: TopK = 5
    image: bool = Field(default=False, description="Also a PNG.")


class ExplainArguments(MemoryArguments):
    """explain."""

    top_k: TopK = 10
    domain: str | None = None


class ListMemoriesArguments(Arguments):
    """list_memories."""

    limit: Limit = 100
    cursor: Cursor = None


class CreateMemoryArguments(Arguments):
    """create_memory."""

    name: str
    kind: MemoryKind = Field(default="project", alias="class")
    variant: Variant | None = None
    description: str | None = None
    encoder: str | None = None
    units: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, ge=0.0, le=1.0)
    standby: bool = Field(default=False, description="A process on another node takes over when its own is lost.")


class ForgetArguments(MemoryArguments):
    """forget."""

    subject: str | None = None
    patterns: list[int] = Field(default_factory=list)
    seq_from: int | None = None
    seq_to: int | None = None
    occurred_from: str | None = None
    occurred_to: str | None = None
    dry_run: bool = False


class PredictNextArguments(MemoryArguments):
    """predict_next."""

    text: str | None = None
    session: str | None = None
    top_k: TopK = 5
