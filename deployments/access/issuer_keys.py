"""Gets the key set of a token issuer over HTTPS, or over HTTP from this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from deployments.access.oauth import FetchKeys

_TIMEOUT_S: Final = 5.0
_SIZE_MAX: Final = 256 * 1024


def fetch_from(url: str) -> FetchKeys:
    """A fetcher of the key set at ``url``, which only the operator can name. It follows no redirect."""

    async def fetch() -> Mapping[str, Any]:
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client,
                client.stream("GET", url) as answer,
            ):
                answer.raise_for_status()
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _SIZE_MAX:
                        raise ValueError("The key set is too large.")
        except httpx.HTTPError as error:
            raise OSError(f"The key set cannot be had ({type(error).__name__}).") from error
        found: Mapping[str, Any] = json.loads(body)
        return found

    return fetch
