"""Answers that ``memory_core`` does not define, for the routes and for the API document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel
from pydantic.dataclasses import dataclass

from memory_core.ids import MemoryName, Tag
from memory_core.results import ObserveResult, SurpriseResult


@dataclass(frozen=True)
class SurpriseAnswer:
    """One result per text, in order."""

    results: tuple[SurpriseResult, ...]


class StreamedObserve(BaseModel):
    """One batch of a stream: what was learned is durable."""

    observations: int
    last_seq: int
    surprise_mean: float
    observation_count: int
    capacity_used: float
    is_replayed_answer: bool
    is_quarantined: bool

    @classmethod
    def of(cls, result: ObserveResult) -> StreamedObserve:
        """From the core's value."""
        surprises = [outcome.surprise for outcome in result.outcomes]
        return cls(
            observations=len(result.outcomes),
            last_seq=result.outcomes[-1].seq,
            surprise_mean=sum(surprises) / len(surprises),
            observation_count=result.observation_count,
            capacity_used=result.capacity_used,
            is_replayed_answer=result.is_replayed_answer,
            is_quarantined=result.is_quarantined,
        )


class DeletePlan(BaseModel):
    """What a deletion would remove; nothing was changed."""

    memory: MemoryName
    observation_count: int
    pattern_count: int
    state_bytes: int
    checkpoint_tags: tuple[Tag, ...]


class OwnerAnswer(BaseModel):
    """The process that holds a memory now. It changes when the process is replaced."""

    memory: str
    pid: int


class HealthAnswer(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(BaseModel):
    """Storage and encoder answer too."""

    status: Literal["ready"] = "ready"


class ErrorDetail(BaseModel):
    """What went wrong and what to do next. ``retry_after_s`` is there when the same request can succeed later."""

    code: str
    message: str
    hint: str
    request_id: str
    retry_after_s: float | None = None


class ErrorAnswer(BaseModel):
    """The body of every error."""

    error: ErrorDetail


class ResourceMetadata(BaseModel):
    """RFC 9728: a protected resource, and the authorization servers whose tokens it takes."""

    resource: str
    authorization_servers: list[str]
    scopes_supported: list[str]
    bearer_methods_supported: list[str]
    resource_name: str
