"""The caller of a request and what that caller may do. Pure: no clock, no input or output but the context variable."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, get_args

from memory_core.errors import Forbidden, InvalidInput, NeuralMemoryError, NotFound, Unauthenticated
from memory_core.ids import MemoryName

Scope = Literal["observe", "infer", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEFAULT_TENANT: Final = "default"
EVERY_MEMORY: Final = ("*",)
_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_GLOB = re.compile(r"[A-Za-z0-9._*?-]{1,128}")
_MARK: Final = "~"  # no memory name has it, so no name reaches into another tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one key may use; None is no limit. ``memories`` counts those that the key can see.

    Each replica of the ingress gives out an equal share of a rate, since each gets an equal share of the requests.
    """

    observations_per_s: float | None = None
    memories: int | None = None
    bytes_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks. ``key_id`` is the visible part of a key; ``memories`` are globs over names within the tenant."""

    tenant: str
    key_id: str
    scopes: frozenset[Scope]
    memories: tuple[str, ...] = EVERY_MEMORY
    limits: Limits = field(default_factory=Limits)
    is_trusted: bool = True

    def require_trust(self) -> None:
        """Raise Forbidden (NOT_TRUSTED) for a source whose observations wait for somebody else."""
        if not self.is_trusted:
            raise Forbidden(
                "This key's observations wait to be let in; it may not do that itself.",
                code="NOT_TRUSTED",
                hint="Use a key that was made with --trust trusted.",
            )

    def require(self, scope: Scope) -> None:
        """Raise Forbidden (SCOPE_MISSING) unless the scope is held."""
        if scope not in self.scopes:
            raise Forbidden(
                f"This key lacks the scope {scope}.",
                code="SCOPE_MISSING",
                hint=f"Use a key with --scopes {scope}; with LEARNING_RATE=0 a service only reads.",
                scope=scope,
            )

    def sees(self, name: MemoryName) -> bool:
        """True when the key is for memories of this name."""
        return any(fnmatchcase(name, glob) for glob in self.memories)

    def require_may_name(self, name: MemoryName) -> None:
        """Raise Forbidden (NAME_NOT_ALLOWED) unless a new memory may have this name."""
        if not self.sees(name):
            raise Forbidden(
                f"This key is not for memories named {name}.",
                code="NAME_NOT_ALLOWED",
                hint=f"Use a name like {', '.join(self.memories)}.",
            )

    def stored(self, name: MemoryName) -> MemoryName:
        """The name on the volume. NotFound for what this key does not see, as if it did not exist."""
        if not self.sees(name):
            raise NotFound(
                f"There is no memory named {name}.",
                code="MEMORY_NOT_FOUND",
                hint="List the memories, or create this one.",
                memory=name,
            )
        return MemoryName(self.prefix + name)

    @property
    def prefix(self) -> str:
        """What stored names of the tenant begin with; those of the default tenant are bare."""
        return "" if self.tenant == DEFAULT_TENANT else f"{_MARK}{self.tenant}{_MARK}"

    def owns(self, stored: str) -> bool:
        """True when the stored name is of this tenant."""
        return stored.startswith(self.prefix) if self.prefix else not stored.startswith(_MARK)

    def shown(self, text: str) -> str:
        """A text of this tenant's answers without the prefix of its stored names."""
        return text.replace(self.prefix, "") if self.prefix else text


LOCAL: Final = Principal(tenant=DEFAULT_TENANT, key_id="local", scopes=frozenset(SCOPES))
"""The caller of a service that only this machine can reach."""

_CALLER: ContextVar[Principal | None] = ContextVar("caller", default=None)


def set_caller(principal: Principal) -> None:
    """Name the caller of everything that this task and the tasks it starts do from now on."""
    _CALLER.set(principal)


def caller() -> Principal:
    """Who this task works for; Unauthenticated when nobody was named, so that a forgotten door stays shut."""
    known = _CALLER.get()
    if known is None:
        raise unauthenticated()
    return known


def unauthenticated() -> NeuralMemoryError:
    """The one answer to no key, a wrong one, an expired one and a revoked one."""
    return Unauthenticated(
        "No valid key came with this request.",
        hint="Send Authorization: Bearer KEY or X-API-Key; make one with: neural-memory keys create",
    )


def parse_tenant(raw: str) -> str:
    """Check a tenant's name: 1 to 40 lower-case letters, digits and dashes; raises InvalidInput."""
    if not _TENANT.fullmatch(raw):
        raise InvalidInput(f"The tenant {ascii(raw[:64])} does not fit.", hint="Use a-z, 0-9 and dashes, at most 40.")
    return raw


def parse_scopes(raw: str) -> frozenset[Scope]:
    """Scopes from a list with commas; raises InvalidInput."""
    asked = {part.strip() for part in raw.split(",") if part.strip()}
    if not asked or asked - set(SCOPES):
        raise InvalidInput(f"The scopes {ascii(raw[:64])} do not fit.", hint=f"Choose from {', '.join(SCOPES)}.")
    return frozenset(scope for scope in SCOPES if scope in asked)


def parse_trust(raw: str) -> bool:
    """True for ``trusted``, False for ``untrusted``; raises InvalidInput."""
    if raw not in {"trusted", "untrusted"}:
        raise InvalidInput(f"The trust {ascii(raw[:64])} does not fit.", hint="Choose trusted or untrusted.")
    return raw == "trusted"


def parse_globs(raw: str) -> tuple[str, ...]:
    """Globs over memory names from a list with commas; raises InvalidInput."""
    globs = tuple(part.strip() for part in raw.split(",") if part.strip())
    if not globs or not all(_GLOB.fullmatch(glob) for glob in globs):
        raise InvalidInput(f"The memories {ascii(raw[:64])} do not fit.", hint="For example 'team-*'.")
    return globs
