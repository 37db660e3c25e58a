"""ETags: the hash of a memory's weights, and ``If-Match`` on calls that destroy."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response

from deployments.http.services import BackendParam, NameParam
from memory_core.errors import PreconditionFailed

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=1024, description="Go on only while the memory has this ETag; else 412."),
]


async def require_match(name: NameParam, backend: BackendParam, if_match: IfMatch = None) -> None:
    """Raise PreconditionFailed when the memory learned or changed since its ETag was read.

    It is looked at just before the call: a change in between, within milliseconds, is not noticed.
    """
    if if_match is None or if_match.strip() == "*":
        return
    now = etag((await backend.stats(name)).weight_hash)
    if now not in {part.strip() for part in if_match.split(",")}:
        raise PreconditionFailed(
            f"The memory {name} changed since its ETag was read.", hint="Read it again, and decide again."
        )


def etag(weight_hash: str) -> str:
    """The ETag of a memory with this weight hash."""
    return f'"{weight_hash}"'


def set_etag(response: Response, weight_hash: str) -> None:
    """Say which version an answer is about."""
    response.headers["ETag"] = etag(weight_hash)
