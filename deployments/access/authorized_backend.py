"""A MemoryBackend for whoever calls: scopes, tenants, limits and the audit trail in one place for every door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from cluster.placement_report import PlacementReport
from deployments.access.acting import audited, operator, shown, with_scope, without_tenant
from deployments.access.audit import AuditTrail
from deployments.access.limits import DAY_S, Rates
from deployments.access.principal import Principal, caller
from deployments.access.quarantine import MARK, Quarantine, is_untrusted, marked_untrusted, no_quarantine
from memory_core.backend import MemoryBackend
from memory_core.config import MemoryConfig
from memory_core.errors import Overloaded
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
_T = TypeVar("_T")


class AuthorizedBackend(FamilyOperations):
    """Does for ``principal.caller()`` what it may do on ``inner``; names in and out are those of its tenant.

    ``infer`` reads, ``observe`` learns and publishes, ``admin`` creates, deletes and undoes. Names that a key does not
    see are NotFound, like names that do not exist.
    """

    def __init__(  # noqa: PLR0913, PLR0917  each part is optional, so that tests leave most of them out
        self,
        inner: MemoryBackend,
        audit: AuditTrail | None = None,
        owner_pid: Callable[[MemoryName], Awaitable[int]] | None = None,
        rates: Rates | None = None,
        placement: Callable[[MemoryName], Awaitable[PlacementReport]] | None = None,
        restart: Callable[[MemoryName], Awaitable[None]] | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._inner = inner
        self._audit = audit
        self._pid_of = owner_pid
        self._placement_of = placement
        self._restart = restart
        self._rates = rates or Rates()
        self._quarantine = quarantine

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """See MemoryBackend."""
        who = await self._creator(name)
        return await shown(who, self._inner.create(who.stored(name), config, terms))

    async def change(self, name: MemoryName, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "change", name):
            return await shown(who, self._inner.change(who.stored(name), change, only_if=only_if))

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """See MemoryBackend. The cursor is a name without the tenant."""
        who = caller()
        found: list[MemoryInfo] = []
        at = who.prefix + (cursor or "")
        while True:
            page = await self._inner.list_memories(limit=_PAGE if who.memories != ("*",) else limit, cursor=at)
            own = [info for info in page.memories if who.owns(info.name)]
            found += [
                info
                for info in (without_tenant(who, one) for one in own)
                if who.sees(info.name) and not info.name.endswith(MARK)
            ]
            if len(found) > limit or (len(found) == limit and page.next_cursor is not None):
                return MemoryPage(memories=tuple(found[:limit]), next_cursor=found[limit - 1].name)
            if page.next_cursor is None or len(own) < len(page.memories):
                return MemoryPage(memories=tuple(found), next_cursor=None)
            at = page.next_cursor

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        """See MemoryBackend."""
        who = caller()
        return await shown(who, self._inner.stats(who.stored(name), detailed=detailed))

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "delete", name):
            await shown(who, self._inner.delete(who.stored(name), only_if=only_if))
            if self._quarantine is not None:
                await self._quarantine.delete(who.stored(name))

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """See MemoryBackend."""
        who = with_scope("observe")
        stored = who.stored(name)
        self._count(who, observations)
        told = observations if who.is_trusted else marked_untrusted(observations, who.key_id)
        if not is_untrusted(told):
            return await shown(who, self._inner.observe(stored, told, options))
        if self._quarantine is None:
            raise no_quarantine()
        return await shown(who, self._quarantine.hold(stored, told, options))

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        """See MemoryBackend."""
        who = with_scope("infer")
        return await shown(who, self._inner.infer(who.stored(name), prompt, options))

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        """See MemoryBackend."""
        who = with_scope("infer")
        return await shown(who, self._inner.surprise(who.stored(name), texts, domain=domain))

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """See MemoryBackend."""
        who = with_scope("infer")
        return await shown(who, self._inner.explain(who.stored(name), top_k=top_k, domain=domain))

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        """See MemoryBackend."""
        who = with_scope("infer")
        return await shown(who, self._inner.attention_map(who.stored(name), query, top_k=top_k))

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        """See MemoryBackend."""
        who = with_scope("infer")
        return await shown(who, self._inner.pattern_map(who.stored(name), limit=limit))

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        """See MemoryBackend."""
        who = with_scope("infer")
        return await shown(who, self._inner.activity(who.stored(name), limit=limit))

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """See MemoryBackend."""
        who = with_scope("infer")
        work = self._inner.predict_next(who.stored(name), text=text, session=session, top_k=top_k)
        return await shown(who, work)

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
        who = with_scope("infer")
        work = self._inner.diff(who.stored(name), who.stored(other), tag=tag, other_tag=other_tag, limit=limit)
        return await shown(who, work)

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        """See MemoryBackend."""
        who = with_scope("observe")
        who.require_trust()
        return await shown(who, self._inner.merge(who.stored(name), who.stored(other), tag=tag))

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        """See MemoryBackend."""
        who = with_scope("observe")
        work = self._inner.consolidate(who.stored(name), steps=steps, ewc_lambda=ewc_lambda, on_progress=on_progress)
        return await shown(who, work)

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """See MemoryBackend."""
        who = with_scope("admin")
        work = self._inner.forget
        if is_dry_run:
            return await shown(who, work(who.stored(name), selection, is_dry_run=True, only_if=only_if))
        async with audited(self._audit, who, "forget", name):
            receipt = await shown(who, work(who.stored(name), selection, only_if=only_if))
            if self._quarantine is not None:
                await self._quarantine.forget(who.stored(name), selection)
            return receipt

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        """See MemoryBackend."""
        who = await self._creator(new_name)
        return await shown(who, self._inner.re_encode(who.stored(name), encoder, who.stored(new_name)))

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        """See MemoryBackend."""
        who = with_scope("observe")
        work = self._inner.checkpoint(who.stored(name), tag, description, include_momentum=include_momentum)
        return await shown(who, work)

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """See MemoryBackend."""
        who = caller()
        work = self._inner.list_checkpoints(who.stored(name), prefix=prefix, limit=limit, cursor=cursor)
        return await shown(who, work)

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "restore", name):
            work = self._inner.restore(who.stored(name), tag, restore_momentum=restore_momentum, only_if=only_if)
            return await shown(who, work)

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "rollback", name):
            return await shown(who, self._inner.rollback(who.stored(name), seq, only_if=only_if))

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """See MemoryBackend."""
        who = await self._creator(new_name)
        return await shown(who, self._inner.fork(who.stored(name), tag, who.stored(new_name)))

    async def fork_many(self, name: MemoryName, tag: Tag, new_name: MemoryName, count: int) -> FanOutResult:
        """See MemoryBackend."""
        who = await self._creator(*fork_names(new_name, count))
        return await shown(who, self._inner.fork_many(who.stored(name), tag, who.stored(new_name), count))

    async def promote(self, fork: MemoryName, tag: Tag) -> PromoteResult:
        """See MemoryBackend. What the parent was stays under a tag; what it is changes."""
        who = with_scope("admin")
        async with audited(self._audit, who, "promote", fork):
            parent = parent_of((await self.stats(fork)).parent)
            if parent is not None:
                who.stored(parent)  # NotFound for a key that does not see it
            return await shown(who, self._inner.promote(who.stored(fork), tag))

    async def export(self, name: MemoryName, *, tag: Tag | None = None, form: ExportFormat = "nmem") -> Export:
        """See MemoryBackend. A whole memory leaves the house, so it is written down."""
        who = with_scope("admin")
        async with audited(self._audit, who, "export", name):
            return await shown(who, self._inner.export(who.stored(name), tag=tag, form=form))

    async def import_memory(self, name: MemoryName, archive: AsyncIterator[bytes]) -> ImportResult:
        """See MemoryBackend."""
        who = await self._creator(name)
        return await shown(who, self._inner.import_memory(who.stored(name), archive))

    async def verify(self, name: MemoryName | None = None) -> VerifyReport:
        """See MemoryBackend."""
        who = with_scope("admin") if name is not None else operator()
        return await shown(who, self._inner.verify(None if name is None else who.stored(name)))

    async def delete_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "delete-checkpoint", name):
            await shown(who, self._inner.delete_checkpoint(who.stored(name), tag))

    async def retention(self, name: MemoryName) -> RetentionPolicy:
        """See MemoryBackend."""
        who = caller()
        return await shown(who, self._inner.retention(who.stored(name)))

    async def set_retention(self, name: MemoryName, policy: RetentionPolicy) -> RetentionPolicy:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "set-retention", name):
            return await shown(who, self._inner.set_retention(who.stored(name), policy))

    async def prune(
        self, name: MemoryName, *, policy: RetentionPolicy | None = None, is_dry_run: bool = False
    ) -> PruneResult:
        """See MemoryBackend."""
        who = with_scope("admin")
        async with audited(self._audit, who, "prune", name):
            return await shown(who, self._inner.prune(who.stored(name), policy=policy, is_dry_run=is_dry_run))

    async def collect_garbage(self, *, grace_s: float = 3600.0, is_dry_run: bool = False) -> CollectResult:
        """See MemoryBackend."""
        who = operator()
        return await shown(who, self._inner.collect_garbage(grace_s=grace_s, is_dry_run=is_dry_run))

    async def owner_pid(self, name: MemoryName) -> int:
        """Which process holds a memory, for operators."""
        who = with_scope("admin")
        assert self._pid_of is not None
        return await shown(who, self._pid_of(who.stored(name)))

    async def placement(self, name: MemoryName) -> PlacementReport:
        """Where a memory lives and why, for operators."""
        who = with_scope("admin")
        assert self._placement_of is not None
        return await shown(who, self._placement_of(who.stored(name)))

    async def restart(self, name: MemoryName) -> None:
        """End the process of a memory that has one of its own, for operators."""
        who = with_scope("admin")
        assert self._restart is not None
        async with audited(self._audit, who, "restart", name):
            await shown(who, self._restart(who.stored(name)))

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
        who = with_scope("admin")
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
