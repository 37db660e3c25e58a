"""Which authenticator a service has, from its settings."""

from __future__ import annotations

from deployments.access.authentication import Authenticator, EitherDoor, KeyDoor, OpenDoor
from deployments.access.issuer_keys import fetch_from
from deployments.access.key_shelf import KeyShelf
from deployments.access.oauth import Issuer, IssuerKeys, TokenDoor
from deployments.access.protected_resource import ProtectedResource
from deployments.settings import Settings
from memory_core.storage.object_store import ObjectStore


def authenticator_of(settings: Settings, store: ObjectStore) -> Authenticator:
    """Keys on the volume, tokens of the issuer beside them if one is named, or nobody is asked."""
    if not settings.needs_keys:
        return OpenDoor()
    keys = KeyDoor(KeyShelf(store).find)
    if not settings.oauth_issuer:
        return keys
    issuer = Issuer(
        issuer=settings.oauth_issuer,
        resource=settings.resource_url,
        audience=settings.oauth_audience,
        tenant_claim=settings.oauth_tenant_claim,
        memories_claim=settings.oauth_memories_claim,
    )
    return EitherDoor(keys, TokenDoor(issuer, IssuerKeys(fetch_from(settings.oauth_jwks_url))))


def resource_of(settings: Settings) -> ProtectedResource | None:
    """What OAuth clients are told; None when no tokens are taken."""
    return ProtectedResource(settings.resource_url, settings.oauth_issuer) if settings.oauth_issuer else None
