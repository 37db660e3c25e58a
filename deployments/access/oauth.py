"""OAuth 2.1 resource server: access tokens that are JWTs, checked with the keys that their issuer publishes.

Signature by an asymmetric algorithm, issuer, audience, expiry and subject are required. What a token allows is in its
``scope`` (or ``scp``): observe, infer, admin. Whose memories it is for is in a claim that the operator names.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from deployments.access.principal import DEFAULT_TENANT, SCOPES, Principal, parse_globs, parse_tenant, unauthenticated
from memory_core.errors import InvalidInput, Unavailable

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_S: Final = 30.0
_KEPT_S: Final = 300.0
_AGAIN_AFTER_S: Final = 10.0
_REQUIRED: Final = ("exp", "iss", "aud", "sub")
_TOKEN_LENGTH_MAX: Final = 16 * 1024

FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gets the issuer's JSON Web Key Set; raises OSError or ValueError when it cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose tokens are taken, and for what.

    resource: the URL under which this service is known; tokens are for it or what lies below. audience: another value
    of ``aud`` that is taken. tenant_claim, memories_claim: where a token says them; without a tenant claim all callers
    belong to the default tenant, without a memories claim they see all of their tenant's.
    """

    issuer: str
    resource: str
    audience: str = ""
    tenant_claim: str = "tenant"
    memories_claim: str = ""


class IssuerKeys:
    """The issuer's keys by id, fetched when they are old or an unknown one is asked for, but not in a hurry."""

    def __init__(self, fetch: FetchKeys, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock_s = clock_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at_s = self._fetched_at_s = -float("inf")
        self._asking = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key; None when the issuer has none of that id. Unavailable when it was never reached."""
        is_old = self._clock_s() - self._fetched_at_s > _KEPT_S
        if is_old or key_id not in self._keys:
            async with self._asking:
                await self._refresh(key_id)
        if not self._keys:
            raise Unavailable("The keys of the token's issuer cannot be had.", hint="Try again.", retry_after_s=5.0)
        return self._keys.get(key_id)

    async def _refresh(self, key_id: str) -> None:
        now_s = self._clock_s()
        is_fresh = now_s - self._fetched_at_s <= _KEPT_S and key_id in self._keys
        if is_fresh or now_s - self._asked_at_s < _AGAIN_AFTER_S:
            return
        self._asked_at_s = now_s
        try:
            found = await self._fetch()
            self._keys = _signing_keys(found)
        except (OSError, ValueError, TypeError, AttributeError):
            return  # the keys that are known stay
        self._fetched_at_s = now_s


class TokenDoor:
    """Authenticator of bearer tokens. Every fault of a token gets the one answer."""

    def __init__(self, issuer: Issuer, keys: IssuerKeys) -> None:
        self._issuer = issuer
        self._keys = keys

    async def principal(self, presented: str | None) -> Principal:
        """See Authenticator."""
        if presented is None or len(presented) > _TOKEN_LENGTH_MAX:
            raise unauthenticated()
        try:
            header = jwt.get_unverified_header(presented)
            key = await self._keys.find(str(header.get("kid", "")))
            if key is None:
                raise unauthenticated()
            claims = jwt.decode(
                presented,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer.issuer,
                leeway=LEEWAY_S,
                # The audience is looked at below: any URL of this service will do.
                options={"require": list(_REQUIRED), "verify_aud": False},
            )
            return self._principal(claims)
        except (jwt.PyJWTError, InvalidInput, ValueError, TypeError):
            raise unauthenticated() from None

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        self._require_audience(claims["aud"])
        issuer = self._issuer
        tenant = parse_tenant(claims.get(issuer.tenant_claim, "")) if issuer.tenant_claim else DEFAULT_TENANT
        memories = claims.get(issuer.memories_claim, "") if issuer.memories_claim else "*"
        granted = _scopes(claims)
        who = hashlib.sha256(f"{claims['iss']} {claims['sub']}".encode()).hexdigest()[:12]
        return Principal(
            tenant=tenant,
            key_id=f"oauth-{who}",
            scopes=frozenset(scope for scope in SCOPES if scope in granted),
            memories=parse_globs(memories if isinstance(memories, str) else ",".join(memories)),
        )

    def _require_audience(self, audience: object) -> None:
        told = [audience] if isinstance(audience, str) else list(audience) if isinstance(audience, list) else []
        resource = self._issuer.resource.rstrip("/")
        for one in told:
            is_ours = isinstance(one, str) and (one.rstrip("/") == resource or one.startswith(resource + "/"))
            if is_ours or (self._issuer.audience and one == self._issuer.audience):
                return
        raise unauthenticated()


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    told = claims.get("scope", claims.get("scp", ""))
    return set(told.split() if isinstance(told, str) else told)


def _signing_keys(found: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """Keys for signatures by algorithms that are taken; others are passed over."""
    keys: dict[str, jwt.PyJWK] = {}
    for raw in found["keys"] if isinstance(found.get("keys"), list) else []:
        try:
            key = jwt.PyJWK.from_dict(raw)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if key.key_id and key.algorithm_name in ALGORITHMS and raw.get("use", "sig") == "sig":
            keys[key.key_id] = key
    return keys
