"""Acting for whoever calls: with which right, in whose names, and written down."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar, cast

from deployments.access.audit import AuditTrail
from deployments.access.principal import EVERY_MEMORY, Principal, Scope, caller
from memory_core.errors import Forbidden, NeuralMemoryError
from memory_core.ids import MemoryName

_NAMING: Final = frozenset({"memory", "name", "source", "other", "parent", "fork", "forks", "forks_holding"})
_T = TypeVar("_T")


def with_scope(scope: Scope) -> Principal:
    """The caller, who holds the scope; Forbidden."""
    who = caller()
    who.require(scope)
    return who


def operator() -> Principal:
    """Whoever may work on the volume as a whole: it is shared by all tenants."""
    who = with_scope("admin")
    if who.prefix or who.memories != EVERY_MEMORY:
        raise Forbidden(
            "This key is not for the volume as a whole.",
            code="VOLUME_NOT_ALLOWED",
            hint="Use an admin key of the default tenant for all memories.",
        )
    return who


async def shown(who: Principal, work: Awaitable[_T]) -> _T:
    """The answer, or the error, in the names of the tenant."""
    try:
        answer = await work
    except NeuralMemoryError as error:
        if who.prefix:
            _rename(who, error)
        raise
    return answer if not who.prefix else without_tenant(who, answer)


def _rename(who: Principal, error: NeuralMemoryError) -> None:
    error.message, error.hint = who.shown(error.message), who.shown(error.hint)
    error.args = (error.message,)
    error.context = {key: who.shown(value) if isinstance(value, str) else value for key, value in error.context.items()}


def without_tenant(who: Principal, value: _T) -> _T:
    """A result with its names shown. Texts that were learned are left as they are."""
    if isinstance(value, tuple):
        return cast("_T", tuple(without_tenant(who, one) for one in value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes: dict[str, Any] = {}
    for field in fields(value):
        entry = getattr(value, field.name)
        if field.name in _NAMING:
            changes[field.name] = tuple(map(who.shown, entry)) if isinstance(entry, tuple) else _plain(who, entry)
        elif field.name in {"checkpoints", "memories"}:
            changes[field.name] = without_tenant(who, entry)
    return cast("_T", replace(value, **changes)) if changes else value


def _plain(who: Principal, entry: object) -> object:
    return who.shown(entry) if isinstance(entry, str) else entry


@asynccontextmanager
async def audited(audit: AuditTrail | None, who: Principal, action: str, name: MemoryName) -> AsyncIterator[None]:
    """Write down that a call destroys, before it does, and how it ended. A call that cannot be written down fails."""
    if audit is None:
        yield
        return
    said = {"call": uuid.uuid4().hex, "tenant": who.tenant, "key_id": who.key_id, "action": action, "memory": name}
    await audit.record(**said, outcome="asked")
    outcome = "unknown"
    try:
        yield
        outcome = "done"
    except NeuralMemoryError as error:
        outcome = error.code
        raise
    finally:
        await audit.record(**said, outcome=outcome)
