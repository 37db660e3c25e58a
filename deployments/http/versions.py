"""ETags: the hash of a memory's weights, and ``If-Match`` on calls that destroy."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Response

from memory_core.terms import Versions

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1024,
        description="Only while the memory has this ETag, looked at in the instant of the change; else 412.",
    ),
]


async def _versions(if_match: IfMatch = None) -> Versions | None:
    """The weight hashes that a request is about; None when it is about any. What is no ETag matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    return tuple(part.strip().removeprefix('"').removesuffix('"') for part in if_match.split(","))


OnlyIfParam = Annotated[Versions | None, Depends(_versions)]


def set_etag(response: Response, weight_hash: str) -> None:
    """Say which version an answer is about."""
    response.headers["ETag"] = f'"{weight_hash}"'
