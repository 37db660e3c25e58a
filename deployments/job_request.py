"""From what a caller asks for to the plan of a job: everything is decided and checked before anything is written."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast, get_args

from deployments.memory_spec import complete_config
from deployments.text_rules import check_label
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import InvalidInput, NotFound, ReadOnly
from memory_core.ids import EncoderId, parse_memory_name
from memory_core.jobs.plan import MAX_ERRORS, JobPlan, Reading, Split, new_job_id, parse_job_id
from memory_core.jobs.sources import find_files

_MEMORY_NOT_FOUND: Final = "MEMORY_NOT_FOUND"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a job shall teach to what. ``create``: make memories that are missing. ``job``: an id of your own.

    The other fields are those of ``memory_core.jobs.plan``.
    """

    source: str
    memory: str | None = None
    memory_field: str | None = None
    domain: str | None = None
    text_field: str = "text"
    time_field: str | None = None
    session_field: str | None = None
    split: str = "auto"
    form: str | None = None
    encoder: str | None = None
    create: bool = False
    min_surprise: float | None = None
    max_errors: int | None = MAX_ERRORS
    encoders: int | None = None
    gpus: float = 0.0
    job: str | None = None

    def reading(self) -> Reading:
        """Where things are in a row; InvalidInput."""
        if self.split not in get_args(Split):
            raise InvalidInput(f"There is no split {ascii(self.split)}.", hint=f"Use {', '.join(get_args(Split))}.")
        for name in ("text_field", "time_field", "session_field", "memory_field", "domain", "form", "encoder"):
            check_label(getattr(self, name), name)
        return Reading(
            text=self.text_field,
            time=self.time_field,
            session=self.session_field,
            memory=self.memory_field,
            split=cast("Split", self.split),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOwner:
    """For whom a job works; see ``JobPlan``."""

    prefix: str = ""
    globs: tuple[str, ...] = ("*",)
    key_id: str = "local"
    allowed: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Where a job will work. ``encoder``, ``defaults``: of memories that are made."""

    backend: MemoryBackend
    encoders: EncoderPool
    encoder: EncoderId
    defaults: Mapping[str, Any] = field(default_factory=dict)


async def make_plan(request: JobRequest, house: House, owner: JobOwner) -> JobPlan:
    """A plan whose files were looked into. Raises what is wrong with the source or the memory; writes nothing."""
    require_ray_data()
    reading = request.reading()
    now = datetime.now(UTC)
    allowed = None if owner.allowed is None else tuple(owner.allowed)
    job = new_job_id(now) if request.job is None else parse_job_id(request.job)
    files = await asyncio.to_thread(find_files, request.source, reading, form=request.form, allowed=allowed)
    encoder, config = await _encoder(request, house)
    return JobPlan(
        job_id=job,
        source=request.source,
        files=files,
        reading=reading,
        encoder=await house.encoders.describe(encoder),
        memory=None if request.memory is None else parse_memory_name(request.memory),
        domain=request.domain,
        config=config,
        min_surprise=request.min_surprise,
        max_errors=request.max_errors,
        encoders=request.encoders,
        gpus=request.gpus,
        prefix=owner.prefix,
        globs=owner.globs,
        key_id=owner.key_id,
        allowed=allowed,
        created_at=now.isoformat(),
    )


def require_ray_data() -> None:
    """InvalidInput (NO_JOBS) where the libraries of jobs are not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("pyarrow", "pandas")):
        raise InvalidInput(
            "Ray Data is not installed here, and jobs are built on it.",
            code="NO_JOBS",
            hint="Run pip install 'neural-memory[jobs]'.",
        )


async def _encoder(request: JobRequest, house: House) -> tuple[EncoderId, MemoryConfig | None]:
    """The encoder of the job, and the settings of memories that it makes."""
    chosen = EncoderId(request.encoder or house.encoder)
    if request.memory is not None:
        try:
            known = await house.backend.stats(parse_memory_name(request.memory))
        except NotFound as error:
            if error.code != _MEMORY_NOT_FOUND or not request.create:
                raise
        else:
            if known.learning_rate == 0.0:
                raise ReadOnly(f"{request.memory} does not learn: its learning rate is 0.", hint="Teach another one.")
            return EncoderId(known.encoder), None
    if not request.create:
        return chosen, None
    return chosen, await complete_config(house.encoders, house.encoder, {"encoder": chosen}, house.defaults)
