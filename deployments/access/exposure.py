"""May a service listen where it is told to? Checked before it starts."""

from __future__ import annotations

from deployments.access.key_shelf import KeyShelf
from deployments.settings import Settings
from memory_core.errors import InvalidInput
from memory_core.storage.open_store import open_store


def require_safe_exposure(settings: Settings) -> None:
    """Raise InvalidInput (NOT_LOOPBACK, NO_KEYS) unless callers are kept out or only this machine can call.

    The key in the settings becomes one of the volume's.
    """
    if settings.auth == "open" and not settings.is_loopback:
        raise InvalidInput(
            f"AUTH=open would let every machine that reaches {settings.host} in.",
            code="NOT_LOOPBACK",
            hint="Listen on 127.0.0.1, or leave AUTH out and make a key: neural-memory keys create",
        )
    if not settings.needs_keys:
        return
    has_valid = operators_shelf(settings).has_valid()
    if not has_valid and not settings.oauth_issuer:
        raise InvalidInput(
            f"A service on {settings.host} needs keys, and this volume has none that is valid.",
            code="NO_KEYS",
            hint="Make one: neural-memory keys create; or set NEURAL_MEMORY_API_KEY, or listen on 127.0.0.1.",
        )


def operators_shelf(settings: Settings) -> KeyShelf:
    """The volume's keys, the one in the settings among them."""
    shelf = KeyShelf(open_store(settings.storage_url))
    if settings.api_key is not None:
        shelf.admit(settings.api_key)
    return shelf
