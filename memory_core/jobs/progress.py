"""How far a job is: the record from which another process goes on, and what people are shown of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal

from memory_core.errors import NeuralMemoryError
from memory_core.jobs.plan import JobPlan, Position

Status = Literal["pending", "running", "interrupted", "succeeded", "failed", "cancelled"]
ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
SILENT_AFTER_S: Final = 60.0
EXAMPLES_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """What a part came to. ``refusal``: why all its rows were rejected, if they were."""

    learned: int = 0
    skipped: int = 0
    rejected: int = 0
    surprise_sum: float = 0.0
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row that was not taught: where it is, and why."""

    file: str
    line: int
    reason: str


@dataclass(slots=True, kw_only=True)
class JobProgress:
    """Of one job, over all its runs.

    window, position: the next one to finish, and where it begins. items, learned, skipped, rejected, surprise_sum,
    bytes_done: of the windows that are finished. done: parts of this window that are finished; pending: which rows of
    a part the gate let through, noted before they are taught. busy_s: spent in all runs; examples: of rejected rows.
    pardoned: rejected rows that ended the job before somebody resumed it; they count against it no more.
    """

    status: Status = "pending"
    run: int = 0
    window: int = 0
    position: Position = field(default_factory=Position)
    items: int = 0
    learned: int = 0
    skipped: int = 0
    rejected: int = 0
    pardoned: int = 0
    surprise_sum: float = 0.0
    bytes_done: int = 0
    done: dict[str, PartResult] = field(default_factory=dict)
    pending: dict[str, list[int]] = field(default_factory=dict)
    busy_s: float = 0.0
    updated_at: str = ""
    error: dict[str, str] | None = None
    examples: list[Failure] = field(default_factory=list)

    @property
    def taught(self) -> int:
        """Rows that were dealt with, those of unfinished windows too."""
        parts = self.done.values()
        return self.items + sum(one.learned + one.skipped + one.rejected for one in parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> JobProgress:
        """Inverse of ``to_dict`` after JSON; fields of a document's envelope are left out."""
        known = {one.name: raw[one.name] for one in fields(cls)}
        known["position"] = Position(**raw["position"])
        known["done"] = {key: PartResult(**value) for key, value in raw["done"].items()}
        known["examples"] = [Failure(**one) for one in raw["examples"]]
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job as people see it.

    items: rows dealt with, of which learned, skipped (the gate knew them) and rejected. obs_per_s: over all runs.
    eta_s: None when it cannot be told. fraction: of the source's bytes. failures: the first rejected rows; all of
    them are in the job's rejects. ``interrupted``: nobody works on it; resume it.
    """

    job: str
    status: Status
    source: str
    memory: str | None
    files: int
    items: int
    learned: int
    skipped: int
    rejected: int
    surprise_mean: float
    fraction: float
    obs_per_s: float
    eta_s: float | None
    created_at: str
    updated_at: str
    runs: int
    error: str | None = None
    hint: str | None = None
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """One page of jobs, newest first."""

    jobs: tuple[JobInfo, ...]
    next_cursor: str | None


def told(plan: JobPlan, progress: JobProgress, now: datetime) -> JobInfo:
    """What a plan and its record say."""
    parts = progress.done.values()
    learned = progress.learned + sum(one.learned for one in parts)
    taught = progress.taught
    fraction = 1.0 if progress.status == "succeeded" else _fraction(plan, progress, taught)
    rate = taught / progress.busy_s if progress.busy_s > 0 else 0.0
    is_known = progress.status == "running" and fraction > 0
    error = progress.error or {}
    surprise_sum = progress.surprise_sum + sum(one.surprise_sum for one in parts)
    return JobInfo(
        job=plan.job_id,
        status=_status(progress, now),
        source=plan.source,
        memory=plan.memory,
        files=len(plan.files),
        items=taught,
        learned=learned,
        skipped=progress.skipped + sum(one.skipped for one in parts),
        rejected=progress.rejected + sum(one.rejected for one in parts),
        surprise_mean=surprise_sum / learned if learned else 0.0,
        fraction=fraction,
        obs_per_s=rate,
        eta_s=progress.busy_s * (1 - fraction) / fraction if is_known else None,
        created_at=plan.created_at,
        updated_at=progress.updated_at,
        runs=progress.run,
        error=f"{error['code']}: {error['message']}" if error else None,
        hint=error.get("hint"),
        failures=tuple(progress.examples),
    )


def plain_error(error: NeuralMemoryError) -> dict[str, str]:
    """What a record keeps of an error."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def _fraction(plan: JobPlan, progress: JobProgress, taught: int) -> float:
    """By bytes; of a window in progress by the bytes that a row took so far."""
    if not plan.size_bytes:
        return 0.0
    per_item = progress.bytes_done / progress.items if progress.items else 0.0
    return min((progress.bytes_done + per_item * (taught - progress.items)) / plan.size_bytes, 1.0)


def _status(progress: JobProgress, now: datetime) -> Status:
    if progress.status not in {"running", "pending"} or not progress.updated_at:
        return progress.status
    silent_s = (now - datetime.fromisoformat(progress.updated_at)).total_seconds()
    return "interrupted" if silent_s > SILENT_AFTER_S else progress.status
