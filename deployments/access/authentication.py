"""The ASGI layer that finds out who calls.

Put it around the whole application, so that no path can be forgotten: HTTP routes, ``/mcp``, ``/memories/{name}/mcp``
and pages alike. It names the caller for the task (``principal.caller``) and in ``scope["state"]["principal"]``; tasks
that are started for the request, such as the ones of a stateless MCP session, inherit the caller.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.access.api_keys import KeyRecord, is_secret, split_key
from deployments.access.principal import LOCAL, Principal, set_caller, unauthenticated
from deployments.access.protected_resource import METADATA_PATH, ProtectedResource
from deployments.error_map import CHALLENGE
from memory_core.errors import Forbidden, Unauthenticated

PUBLIC_PATHS: Final = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json", "/ui"})
_PAGE: Final = "/ui/"  # files without data; what they show they ask for with a key
REVOCATION_S: Final = 1.0
_CACHED_MAX: Final = 10_000
_BEARER: Final = "bearer "
_API: Final = "/v1/"
_LOCAL_ORIGIN: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")


class Authenticator(Protocol):
    """Finds the principal of presented credentials; None stands for no credentials at all."""

    async def principal(self, presented: str | None) -> Principal:
        """Raise Unauthenticated unless the credentials are good now."""
        ...


class OpenDoor:
    """For a service that only this machine can reach: everyone is the local caller."""

    async def principal(self, presented: str | None) -> Principal:
        """See Authenticator."""
        return LOCAL


class ReadingDoor:
    """Lets callers in as another door does, to read only: for a service that nobody may change."""

    def __init__(self, door: Authenticator) -> None:
        self._door = door

    async def principal(self, presented: str | None) -> Principal:
        """See Authenticator."""
        who = await self._door.principal(presented)
        return replace(who, scopes=who.scopes & {"infer"})


class KeyDoor:
    """Checks keys against their records. A record is read again after ``REVOCATION_S``, so revocation takes that long.

    ``find`` reads a record and may block.
    """

    def __init__(self, find: Callable[[str], KeyRecord | None], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock_s = clock_s
        self._cached: OrderedDict[str, tuple[float, KeyRecord | None]] = OrderedDict()

    async def principal(self, presented: str | None) -> Principal:
        """See Authenticator."""
        parts = None if presented is None else split_key(presented)
        if parts is None:
            raise unauthenticated()
        record = await self._record(parts[0])
        if not is_secret(record, parts[1]) or record is None or not record.is_valid(datetime.now(UTC)):
            raise unauthenticated()
        return record.to_principal()

    async def _record(self, key_id: str) -> KeyRecord | None:
        now_s = self._clock_s()
        cached = self._cached.get(key_id)
        if cached is not None and now_s - cached[0] < REVOCATION_S:
            return cached[1]
        record = await asyncio.to_thread(self._find, key_id)
        self._cached[key_id] = (now_s, record)
        self._cached.move_to_end(key_id)
        if len(self._cached) > _CACHED_MAX:
            self._cached.popitem(last=False)
        return record


class EitherDoor:
    """Keys and tokens alike; a key is told by how it begins."""

    def __init__(self, keys: Authenticator, tokens: Authenticator) -> None:
        self._keys = keys
        self._tokens = tokens

    async def principal(self, presented: str | None) -> Principal:
        """See Authenticator."""
        is_token = presented is not None and split_key(presented) is None
        return await (self._tokens if is_token else self._keys).principal(presented)


class Authentication:
    """Wraps an ASGI app. Raises Unauthenticated out of the app; the layer around it must turn that into an answer."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, resource: ProtectedResource | None = None) -> None:
        """``resource``: what OAuth clients that come without a token are told."""
        self._app = app
        self._authenticator = authenticator
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; a lifespan passes through, a web socket needs credentials like everything else."""
        if scope["type"] != "lifespan" and not _is_public(scope["path"]):
            principal = await self._principal(scope)
            scope.setdefault("state", {})["principal"] = principal
            if principal.key_id == LOCAL.key_id and scope["path"].startswith(_API):
                _require_local_page(Headers(scope=scope))
            set_caller(principal)
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal:
        presented = _presented(Headers(scope=scope))
        try:
            return await self._authenticator.principal(presented)
        except Unauthenticated as error:
            if self._resource is not None:
                is_refused = presented is not None
                error.context[CHALLENGE] = self._resource.challenge(scope["path"], is_refused=is_refused)
            raise


def _is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or path.startswith((_PAGE, METADATA_PATH))


def _require_local_page(headers: Headers) -> None:
    """Without keys, a page from elsewhere in this machine's browser must not act as the local caller."""
    origin = headers.get("origin")
    if origin is not None and not _LOCAL_ORIGIN.fullmatch(origin):
        raise Forbidden(
            "Pages from other sites may not use a service without keys.",
            code="ORIGIN_NOT_ALLOWED",
            hint="Open the page from this machine, or start the service with AUTH=keys.",
        )


def _presented(headers: Headers) -> str | None:
    """The key of ``Authorization: Bearer`` or ``X-API-Key``; a URL is no place for one, logs keep it."""
    bearer = headers.get("authorization", "")
    if bearer.lower().startswith(_BEARER):
        return bearer[len(_BEARER) :].strip()
    return headers.get("x-api-key")
