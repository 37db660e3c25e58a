"""What a job is to do: fixed when it is accepted, stored on the volume, the same for every run of it."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, NewType, get_args

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderInfo
from memory_core.errors import InvalidInput
from memory_core.ids import EncoderId, MemoryName, RequestId

JobId = NewType("JobId", str)
Form = Literal["text", "markdown", "jsonl", "csv", "tsv", "parquet"]
Split = Literal["auto", "line", "paragraph", "whole"]
FORMS: Final[tuple[str, ...]] = get_args(Form)
SPLITS: Final[tuple[str, ...]] = get_args(Split)

WINDOW_ITEMS: Final = 512
REQUEST_ITEMS: Final = 64
GATED_REQUEST_ITEMS: Final = 16
MAX_ERRORS: Final = 100
_JOB_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to read. ``stamp`` changes when the file does; ``form``: how it is read."""

    url: str
    size_bytes: int
    stamp: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where in a row things are, for files with fields, and how a text is cut, for files without.

    session, time, memory: names of fields, None for none. split: ``auto`` is a line of plain text, a paragraph of
    Markdown.
    """

    text: str = "text"
    time: str | None = None
    session: str | None = None
    memory: str | None = None
    split: Split = "auto"

    @property
    def names(self) -> tuple[str, ...]:
        """Every field that a row must have."""
        return tuple(name for name in (self.text, self.time, self.session, self.memory) if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The next row to read: the number of its file and its number in it, both from 0."""

    file: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """memory: taught by every row that names none; None when each row names its own.

    config: of memories that the job makes where they are missing; None makes none. min_surprise: rows that are less
    new than that are skipped. max_errors: a job with more rejected rows fails; None lets it go on. encoders: how many
    encode at once, None for one per core. gpus: of each of them. prefix, globs: which stored names the owner of the job
    may teach, and what they begin with. key_id: who asked. allowed: prefixes of URLs that may be read; None for any.
    """

    job_id: JobId
    source: str
    files: tuple[SourceFile, ...]
    reading: Reading
    encoder: EncoderInfo
    memory: MemoryName | None = None
    domain: str | None = None
    config: MemoryConfig | None = None
    min_surprise: float | None = None
    max_errors: int | None = MAX_ERRORS
    encoders: int | None = None
    gpus: float = 0.0
    window_items: int = WINDOW_ITEMS
    prefix: str = ""
    globs: tuple[str, ...] = ("*",)
    key_id: str = "local"
    allowed: tuple[str, ...] | None = None
    created_at: str = ""

    def __post_init__(self) -> None:
        if (self.memory is None) == (self.reading.memory is None):
            raise InvalidInput(
                "A job teaches one memory, or the memory that each row names.",
                hint="Give either a memory or a memory field.",
            )
        if self.min_surprise is not None and not 0.0 <= self.min_surprise <= 1.0:
            raise InvalidInput("min_surprise must be between 0 and 1.", hint="For example 0.2.")
        if self.max_errors is not None and self.max_errors < 0:
            raise InvalidInput("max_errors must not be negative.", hint="Give 0 or more.")
        if self.encoders is not None and not 1 <= self.encoders <= 1024:
            raise InvalidInput("encoders must be between 1 and 1024.", hint="Leave it out for one per core.")
        if not 0.0 <= self.gpus <= 64.0:
            raise InvalidInput("gpus must be between 0 and 64.", hint="For example 0.5: two encoders share a GPU.")

    @property
    def request_items(self) -> int:
        """Observations per request. Fewer with a gate: what one request teaches, it cannot hold against itself."""
        return REQUEST_ITEMS if self.min_surprise is None else GATED_REQUEST_ITEMS

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    def stored(self, name: str) -> MemoryName | None:
        """The stored name of a memory; None when the owner of the job may not teach it."""
        is_allowed = any(fnmatchcase(name, glob) for glob in self.globs)
        return MemoryName(self.prefix + name) if is_allowed else None

    def request_id(self, window: int, part: str) -> RequestId:
        """The same for the same rows in every run, so that a request that was learned is never learned again."""
        return RequestId(f"job:{self.job_id}:{window}:{part.rpartition('/')[2]}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> JobPlan:
        """Inverse of ``to_dict`` after JSON; fields of a document's envelope are left out."""
        known = {field.name: raw[field.name] for field in fields(cls)}
        encoder = raw["encoder"]
        return cls(
            **{
                **known,
                "files": tuple(SourceFile(**file) for file in raw["files"]),
                "reading": Reading(**raw["reading"]),
                "encoder": EncoderInfo(**{**encoder, "encoder_id": EncoderId(encoder["encoder_id"])}),
                "config": None if raw["config"] is None else MemoryConfig.from_dict(raw["config"]),
                "globs": tuple(raw["globs"]),
                "allowed": None if raw["allowed"] is None else tuple(raw["allowed"]),
            }
        )


def new_job_id(now: datetime) -> JobId:
    """Fresh, and later ones sort after earlier ones."""
    return JobId(f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}")


def parse_job_id(raw: str) -> JobId:
    """Check a job id; raises InvalidInput."""
    if not _JOB_ID.fullmatch(raw):
        raise InvalidInput(
            f"The job id {ascii(raw[:64])} does not fit.", hint="Use at most 64 letters, digits, '-' and '_'."
        )
    return JobId(raw)
