"""A MemoryBackend for whoever calls: scopes, tenants, limits and the audit trail in one place for every door."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar, cast

from cluster.placement_report import PlacementReport
from deployments.access.audit import AuditTrail
from deployments.access.limits import DAY_S, Rates
from deployments.access.principal import EVERY_MEMORY, Principal, Scope, caller
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.errors import Forbidden, NeuralMemoryError, Overloaded
from memory_core.family import FamilyOperations, fork_names, parent_of
from memory_core.family_results import FanOutResult, PromoteResult
from memory_core.ids import EncoderId, MemoryName, Seq, Tag
from memory_core.insight_results import (
    Activity,
    AttentionMap,
    DiffResult,
    ExplainResult,
    MergeResult,
    PatternMap,
    PredictResult,
)
from memory_core.progress import OnProgress
from memory_core.results import (
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    ForgetReceipt,
    ForgetSelection,
    ForkResult,
    InferOptions,
    InferResult,
    MemoryInfo,
    MemoryPage,
    MemoryStats,
    Observation,
    ObserveOptions,
    ObserveResult,
    ReencodeResult,
    RestoreResult,
    RollbackResult,
    SurpriseResult,
)
from memory_core.storage_results import (
    CollectResult,
    Export,
    ExportFormat,
    ImportResult,
    PruneResult,
    RetentionPolicy,
    VerifyReport,
)
from memory_core.terms import MemoryTerms, TermsChange, Versions

QUOTA_RETRY_S: Final = 3600.0
_PAGE: Final = 1000
_NAMING: Final = frozenset({"memory", "name", "source", "other", "parent", "fork", "forks", "forks_holding"})
_T = TypeVar("_T")


class AuthorizedBackend(FamilyOperations):
    """Does for ``principal.caller()`` what it may do on ``inner``; names in and out are those of its tenant.

    ``infer`` reads, ``observe`` learns and publishes, ``admin`` creates, deletes and undoes. Names that a key does not
    see are NotFound, like names that do not exist.
    """

    def __init__(
        self,
        inner: MemoryBackend,
        audit: AuditTrail | None = None,
        owner_pid: Callable[[MemoryName], Awaitable[int]] | None = None,
        rates: Rates | None = None,
        placement: Callable[[MemoryName], Awaitable[PlacementReport]] | None = None,
        restart: Callable[[MemoryName], Awaitable[None]] | None = None,
    ) -> None:
        self._inner = inner
        self._audit = audit
        self._pid_of = owner_pid
        self._placement_of = placement
        self._restart = restart
        self._rates = rates or Rates()

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """See MemoryBackend."""
        who = await self._creator(name)
        return await _shown(who, self._inner.create(who.stored(name), config, terms))

    async def change(self, name: MemoryName, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "change", name):
            return await _shown(who, self._inner.change(who.stored(name), change, only_if=only_if))

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """See MemoryBackend. The cursor is a name without the tenant."""
        who = caller()
        found: list[MemoryInfo] = []
        at = who.prefix + (cursor or "")
        while True:
            page = await self._inner.list_memories(limit=_PAGE if who.memories != ("*",) else limit, cursor=at)
            own = [info for info in page.memories if who.owns(info.name)]
            found += [info for info in (_without_tenant(who, one) for one in own) if who.sees(info.name)]
            if len(found) > limit or (len(found) == limit and page.next_cursor is not None):
                return MemoryPage(memories=tuple(found[:limit]), next_cursor=found[limit - 1].name)
            if page.next_cursor is None or len(own) < len(page.memories):
                return MemoryPage(memories=tuple(found), next_cursor=None)
            at = page.next_cursor

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        """See MemoryBackend."""
        who = caller()
        return await _shown(who, self._inner.stats(who.stored(name), detailed=detailed))

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "delete", name):
            await _shown(who, self._inner.delete(who.stored(name), only_if=only_if))

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """See MemoryBackend."""
        who = _with_scope("observe")
        stored = who.stored(name)
        self._count(who, observations)
        return await _shown(who, self._inner.observe(stored, observations, options))

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        """See MemoryBackend."""
        who = _with_scope("infer")
        return await _shown(who, self._inner.infer(who.stored(name), prompt, options))

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        """See MemoryBackend."""
        who = _with_scope("infer")
        return await _shown(who, self._inner.surprise(who.stored(name), texts, domain=domain))

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """See MemoryBackend."""
        who = _with_scope("infer")
        return await _shown(who, self._inner.explain(who.stored(name), top_k=top_k, domain=domain))

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        """See MemoryBackend."""
        who = _with_scope("infer")
        return await _shown(who, self._inner.attention_map(who.stored(name), query, top_k=top_k))

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        """See MemoryBackend."""
        who = _with_scope("infer")
        return await _shown(who, self._inner.pattern_map(who.stored(name), limit=limit))

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        """See MemoryBackend."""
        who = _with_scope("infer")
        return await _shown(who, self._inner.activity(who.stored(name), limit=limit))

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """See MemoryBackend."""
        who = _with_scope("infer")
        work = self._inner.predict_next(who.stored(name), text=text, session=session, top_k=top_k)
        return await _shown(who, work)

    async def diff(
        self,
        name: MemoryName,
        other: MemoryName,
        *,
        tag: Tag | None = None,
        other_tag: Tag | None = None,
        limit: int = 20,
    ) -> DiffResult:
        """See MemoryBackend."""
        who = _with_scope("infer")
        work = self._inner.diff(who.stored(name), who.stored(other), tag=tag, other_tag=other_tag, limit=limit)
        return await _shown(who, work)

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        """See MemoryBackend."""
        who = _with_scope("observe")
        return await _shown(who, self._inner.merge(who.stored(name), who.stored(other), tag=tag))

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        """See MemoryBackend."""
        who = _with_scope("observe")
        work = self._inner.consolidate(who.stored(name), steps=steps, ewc_lambda=ewc_lambda, on_progress=on_progress)
        return await _shown(who, work)

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """See MemoryBackend."""
        who = _with_scope("admin")
        work = self._inner.forget
        if is_dry_run:
            return await _shown(who, work(who.stored(name), selection, is_dry_run=True, only_if=only_if))
        async with self._audited(who, "forget", name):
            return await _shown(who, work(who.stored(name), selection, only_if=only_if))

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        """See MemoryBackend."""
        who = await self._creator(new_name)
        return await _shown(who, self._inner.re_encode(who.stored(name), encoder, who.stored(new_name)))

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        """See MemoryBackend."""
        who = _with_scope("observe")
        work = self._inner.checkpoint(who.stored(name), tag, description, include_momentum=include_momentum)
        return await _shown(who, work)

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """See MemoryBackend."""
        who = caller()
        work = self._inner.list_checkpoints(who.stored(name), prefix=prefix, limit=limit, cursor=cursor)
        return await _shown(who, work)

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "restore", name):
            work = self._inner.restore(who.stored(name), tag, restore_momentum=restore_momentum, only_if=only_if)
            return await _shown(who, work)

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "rollback", name):
            return await _shown(who, self._inner.rollback(who.stored(name), seq, only_if=only_if))

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """See MemoryBackend."""
        who = await self._creator(new_name)
        return await _shown(who, self._inner.fork(who.stored(name), tag, who.stored(new_name)))

    async def fork_many(self, name: MemoryName, tag: Tag, new_name: MemoryName, count: int) -> FanOutResult:
        """See MemoryBackend."""
        who = await self._creator(*fork_names(new_name, count))
        return await _shown(who, self._inner.fork_many(who.stored(name), tag, who.stored(new_name), count))

    async def promote(self, fork: MemoryName, tag: Tag) -> PromoteResult:
        """See MemoryBackend. What the parent was stays under a tag; what it is changes."""
        who = _with_scope("admin")
        async with self._audited(who, "promote", fork):
            parent = parent_of((await self.stats(fork)).parent)
            if parent is not None:
                who.stored(parent)  # NotFound for a key that does not see it
            return await _shown(who, self._inner.promote(who.stored(fork), tag))

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """See MemoryBackend. A whole memory leaves the house, so it is written down."""
        who = _with_scope("admin")
        async with self._audited(who, "export", name):
            return await _shown(who, self._inner.export(who.stored(name), tag=tag, form=form))

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """See MemoryBackend."""
        who = await self._creator(name)
        return await _shown(who, self._inner.import_memory(who.stored(name), archive))

    async def verify(self, name: MemoryName | None = None) -> VerifyReport:
        """See MemoryBackend."""
        who = _with_scope("admin") if name is not None else _operator()
        return await _shown(who, self._inner.verify(None if name is None else who.stored(name)))

    async def delete_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "delete-checkpoint", name):
            await _shown(who, self._inner.delete_checkpoint(who.stored(name), tag))

    async def retention(self, name: MemoryName) -> RetentionPolicy:
        """See MemoryBackend."""
        who = caller()
        return await _shown(who, self._inner.retention(who.stored(name)))

    async def set_retention(self, name: MemoryName, policy: RetentionPolicy) -> RetentionPolicy:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "set-retention", name):
            return await _shown(who, self._inner.set_retention(who.stored(name), policy))

    async def prune(
        self, name: MemoryName, *, policy: RetentionPolicy | None = None, is_dry_run: bool = False
    ) -> PruneResult:
        """See MemoryBackend."""
        who = _with_scope("admin")
        async with self._audited(who, "prune", name):
            return await _shown(who, self._inner.prune(who.stored(name), policy=policy, is_dry_run=is_dry_run))

    async def collect_garbage(self, *, grace_s: float = 3600.0, is_dry_run: bool = False) -> CollectResult:
        """See MemoryBackend."""
        who = _operator()
        return await _shown(who, self._inner.collect_garbage(grace_s=grace_s, is_dry_run=is_dry_run))

    async def owner_pid(self, name: MemoryName) -> int:
        """Which process holds a memory, for operators."""
        who = _with_scope("admin")
        assert self._pid_of is not None
        return await _shown(who, self._pid_of(who.stored(name)))

    async def placement(self, name: MemoryName) -> PlacementReport:
        """Where a memory lives and why, for operators."""
        who = _with_scope("admin")
        assert self._placement_of is not None
        return await _shown(who, self._placement_of(who.stored(name)))

    async def restart(self, name: MemoryName) -> None:
        """End the process of a memory that has one of its own, for operators."""
        who = _with_scope("admin")
        assert self._restart is not None
        async with self._audited(who, "restart", name):
            await _shown(who, self._restart(who.stored(name)))

    async def close(self) -> None:
        """See MemoryBackend."""
        await self._inner.close()

    def _count(self, who: Principal, observations: Sequence[Observation]) -> None:
        limits = who.limits
        if limits.observations_per_s is not None:
            per_s = limits.observations_per_s
            self._rates.take(f"n:{who.key_id}", len(observations), burst=max(per_s, 1.0), per_s=per_s)
        if limits.bytes_per_day is not None:
            size_bytes = sum(len(one.text.encode()) for one in observations)
            burst = float(limits.bytes_per_day)
            self._rates.take(f"b:{who.key_id}", size_bytes, burst=burst, per_s=burst / DAY_S)

    async def _creator(self, *names: MemoryName) -> Principal:
        who = _with_scope("admin")
        for name in names:
            who.require_may_name(name)
        allowed = who.limits.memories
        if allowed is not None and len((await self.list_memories(limit=allowed)).memories) + len(names) > allowed:
            raise Overloaded(
                f"This key may have {allowed} memories, and has them.",
                code="QUOTA_EXCEEDED",
                hint="Delete one, or ask for a larger quota.",
                retry_after_s=QUOTA_RETRY_S,
            )
        return who

    @asynccontextmanager
    async def _audited(self, who: Principal, action: str, name: MemoryName) -> AsyncIterator[None]:
        if self._audit is None:
            yield
            return
        said = {"call": uuid.uuid4().hex, "tenant": who.tenant, "key_id": who.key_id, "action": action, "memory": name}
        await self._audit.record(**said, outcome="asked")
        outcome = "unknown"
        try:
            yield
            outcome = "done"
        except NeuralMemoryError as error:
            outcome = error.code
            raise
        finally:
            await self._audit.record(**said, outcome=outcome)


def _with_scope(scope: Scope) -> Principal:
    who = caller()
    who.require(scope)
    return who


def _operator() -> Principal:
    """Whoever may work on the volume as a whole: it is shared by all tenants."""
    who = _with_scope("admin")
    if who.prefix or who.memories != EVERY_MEMORY:
        raise Forbidden(
            "This key is not for the volume as a whole.",
            code="VOLUME_NOT_ALLOWED",
            hint="Use an admin key of the default tenant for all memories.",
        )
    return who


async def _shown(who: Principal, work: Awaitable[_T]) -> _T:
    """The answer, or the error, in the names of the tenant."""
    try:
        answer = await work
    except NeuralMemoryError as error:
        if who.prefix:
            _rename(who, error)
        raise
    return answer if not who.prefix else _without_tenant(who, answer)


def _rename(who: Principal, error: NeuralMemoryError) -> None:
    error.message, error.hint = who.shown(error.message), who.shown(error.hint)
    error.args = (error.message,)
    error.context = {key: who.shown(value) if isinstance(value, str) else value for key, value in error.context.items()}


def _without_tenant(who: Principal, value: _T) -> _T:
    """A result with its names shown. Texts that were learned are left as they are."""
    if isinstance(value, tuple):
        return cast("_T", tuple(_without_tenant(who, one) for one in value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes: dict[str, Any] = {}
    for field in fields(value):
        entry = getattr(value, field.name)
        if field.name in _NAMING:
            changes[field.name] = tuple(map(who.shown, entry)) if isinstance(entry, tuple) else _plain(who, entry)
        elif field.name in {"checkpoints", "memories"}:
            changes[field.name] = _without_tenant(who, entry)
    return cast("_T", replace(value, **changes)) if changes else value


def _plain(who: Principal, entry: object) -> object:
    return who.shown(entry) if isinstance(entry, str) else entry
