"""A MemoryBackend over Ray actors that hold memories. Storage says which memories exist; actors only own them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from cluster import ray_api
from cluster.call_context import current_context
from cluster.memory_host import HostLimits
from cluster.owners import PENDING, Call, Owners, is_after_loss
from cluster.placement import FanOut, unmet
from cluster.placement_report import PlacementReport, told
from cluster.seats import Seats, tenant_of
from cluster.standbys import Standbys
from cluster.volume_actor import KnownMemory
from memory_core.config import MemoryConfig
from memory_core.consolidation.plan import ConsolidationPlan
from memory_core.encoding.encoder import EncoderPool
from memory_core.errors import Conflict, InvalidInput, NeuralMemoryError, NotFound, PreconditionFailed, Unavailable
from memory_core.family import FamilyOperations, fork_names
from memory_core.family_results import FanOutResult, PromoteResult
from memory_core.ids import EncoderId, MemoryName, RequestId, Seq, Tag
from memory_core.insight_results import (
    Activity,
    AttentionMap,
    DiffResult,
    ExplainResult,
    MergeResult,
    PatternMap,
    PredictResult,
)
from memory_core.progress import OnProgress, Progress, watched
from memory_core.results import (
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    EncodedObservation,
    EncodedText,
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
from memory_core.retelling import retell
from memory_core.terms import MemoryTerms, Versions
from memory_core.volume_storage import VolumeStorage

CALL_DEADLINE_S: Final = 60.0
VOLUME_DEADLINE_S: Final = 3600.0
CONSOLIDATION_PATIENCE_S: Final = 3600.0
_SAME_PREFIX_MAX: Final = 1000
_REPORT_TIMEOUT_S: Final = 5.0
_TOGETHER_WITHIN_S: Final = 20.0
_MEMORY_NOT_FOUND: Final = "MEMORY_NOT_FOUND"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """call_deadline_s: bounds one operation, with the restart of a memory's process inside it.

    shared_hosts: processes that hold the memories without one of their own; every ingress must be told the same.
    limits: of each host. trusted_signers: public keys one of which must have signed what is imported; empty: no rule.
    """

    call_deadline_s: float = CALL_DEADLINE_S
    shared_hosts: int = 2
    limits: HostLimits = field(default_factory=HostLimits)
    trusted_signers: frozenset[str] = frozenset()


class RayBackend(VolumeStorage, FamilyOperations):
    """Memories of the volume at ``storage_url`` on the connected cluster."""

    def __init__(self, storage_url: str, encoders: EncoderPool, settings: ClusterSettings | None = None) -> None:
        if urlsplit(storage_url).scheme == "memory":
            raise InvalidInput(
                "A memory:// volume lives in one process and cannot be shared by actors.", hint="Use a file:// volume."
            )
        self._encoders = encoders
        self._settings = settings or ClusterSettings()
        self._trusted_signers = self._settings.trusted_signers
        self._seats = Seats(storage_url, self._settings.shared_hosts, self._settings.limits)
        self._owners = Owners(self._settings.call_deadline_s)
        # Checking or cleaning a whole volume reads all of it.
        self._keepers = Owners(max(self._settings.call_deadline_s, VOLUME_DEADLINE_S))
        self._standbys = Standbys(self._owners)
        self._known: dict[MemoryName, KnownMemory] = {}
        self._catalog = self._seats.catalog

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """See MemoryBackend."""
        served = await self._encoders.describe(config.encoder)
        if (config.encoder_fingerprint, config.key_dim) != (served.fingerprint, served.key_dim):
            raise InvalidInput(
                f"The settings do not fit the encoder {config.encoder} that is served here.",
                hint="Take fingerprint and key size from the encoder.",
            )
        try:
            info: MemoryInfo = await self._owners.call(self._catalog, Call("create", (name, config, terms)))
        except Conflict as error:
            if not is_after_loss(error):
                raise
            info = (await self._find(name)).info
            if (info.encoder, info.units, info.parent) != (config.encoder, config.units, None):
                raise
        return info

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """See MemoryBackend."""
        page: MemoryPage = await self._owners.call(self._catalog, Call("list_memories", (limit, cursor)))
        return page

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        """See MemoryBackend."""

        async def attempt(known: KnownMemory) -> MemoryStats:
            stats: MemoryStats = await self._call(known, "read", "stats", detailed=detailed)
            return stats

        return await self._with_memory(name, attempt)

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        """See MemoryBackend."""
        self._known.pop(name, None)
        known = await self._find(name)
        try:
            if only_if is None:
                await self._owners.call(self._catalog, Call("delete", (name, known.uid)))
            else:
                await self._call(known, "write", "delete", only_if)
        except NotFound as error:
            if not is_after_loss(error):
                raise
        self._known.pop(name, None)
        await self._let_go(known)

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """See MemoryBackend. A request without an id gets one, so that trying again cannot learn twice."""
        if options.request_id is None:
            options = replace(options, request_id=RequestId(uuid.uuid4().hex))

        async def attempt(known: KnownMemory) -> ObserveResult:
            encoded, fingerprint = await self._encode(known, [one.text for one in observations])
            items = [
                EncodedObservation(observation=one, encoded=text)
                for one, text in zip(observations, encoded, strict=True)
            ]
            result: ObserveResult = await self._call(known, "write", "observe", items, options, fingerprint=fingerprint)
            return result

        return await self._with_memory(name, attempt)

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        """See MemoryBackend."""

        async def attempt(known: KnownMemory) -> InferResult:
            (query,), fingerprint = await self._encode(known, [prompt])
            if options.consistency == "any":
                behind: InferResult | None = await self._read_behind(known, fingerprint, "infer", query, options)
                if behind is not None:
                    return behind
            result: InferResult = await self._call(known, "read", "infer", query, options, fingerprint=fingerprint)
            return result

        return await self._with_memory(name, attempt)

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        """See MemoryBackend."""

        async def attempt(known: KnownMemory) -> tuple[SurpriseResult, ...]:
            encoded, fingerprint = await self._encode(known, texts)
            result: tuple[SurpriseResult, ...] = await self._call(
                known, "read", "surprise", encoded, domain, fingerprint=fingerprint
            )
            return result

        return await self._with_memory(name, attempt)

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """See MemoryBackend."""
        result: ExplainResult = await self._ask(name, "read", "explain", top_k, domain)
        return result

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        """See MemoryBackend."""

        async def attempt(known: KnownMemory) -> AttentionMap:
            (encoded,), fingerprint = await self._encode(known, [query])
            result: AttentionMap = await self._call(
                known, "read", "attention_map", encoded, top_k, fingerprint=fingerprint
            )
            return result

        return await self._with_memory(name, attempt)

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        """See MemoryBackend."""
        result: PatternMap = await self._ask(name, "read", "pattern_map", limit)
        return result

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        """See MemoryBackend."""
        result: Activity = await self._ask(name, "read", "activity", limit)
        return result

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """See MemoryBackend."""

        async def attempt(known: KnownMemory) -> PredictResult:
            encoded, fingerprint = await self._encode(known, [] if text is None else [text])
            result: PredictResult = await self._call(
                known, "read", "predict_next", encoded[0] if encoded else None, session, top_k, fingerprint=fingerprint
            )
            return result

        return await self._with_memory(name, attempt)

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
        result: DiffResult = await self._ask(name, "read", "diff", other, tag, other_tag, limit)
        return result

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        """See MemoryBackend. After the loss of an owner the counts are of what was still missing."""
        result: MergeResult = await self._ask(name, "write", "merge", other, tag)
        return result

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        """See MemoryBackend. It is no call that must answer within the deadline; it may take an hour."""
        plan, run_id = ConsolidationPlan(steps=steps, ewc_lambda=ewc_lambda), uuid.uuid4().hex
        call = Call("write", ("consolidate", plan), {"run_id": run_id}, patience_s=CONSOLIDATION_PATIENCE_S)
        run = _RemoteRun(lambda method: self._ask(name, "read", method, run_id))
        result: ConsolidateResult = await watched(
            self._with_memory(name, lambda known: self._call_owner(known, call)), run, on_progress
        )
        return result

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """See MemoryBackend. After the loss of a process the receipt is of the repetition, which found less to do."""

        async def attempt(known: KnownMemory) -> ForgetReceipt:
            texts: tuple[str, ...] = await self._call(known, "read", "texts_to_forget", selection)
            encoded, fingerprint = await self._encode(known, texts) if texts else ([], None)
            options = {"is_dry_run": is_dry_run, "only_if": only_if, "fingerprint": fingerprint}
            receipt: ForgetReceipt = await self._call(known, "write", "forget", selection, encoded, **options)
            if known.info.placement.standby and not is_dry_run:
                await self._standbys.catch_up(self._seats.standby(known))
            return receipt

        return await self._with_memory(name, attempt)

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        """See MemoryBackend."""
        served = await self._encoders.describe(encoder)
        return await retell(self, await self._ask(name, "read", "story"), served, new_name)

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        """See MemoryBackend."""
        try:
            info: CheckpointInfo = await self._ask(
                name, "write", "checkpoint", tag, description, include_momentum=include_momentum
            )
        except Conflict as error:
            if not is_after_loss(error):
                raise
            page = await self.list_checkpoints(name, prefix=tag, limit=_SAME_PREFIX_MAX)
            info = _tagged(page, tag, error)
            if (info.description, info.has_momentum) != (description, include_momentum):
                raise
        return info

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """See MemoryBackend."""
        call = Call("list_checkpoints", (name, prefix, limit, cursor))
        page: CheckpointPage = await self._owners.call(self._catalog, call)
        return page

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        """See MemoryBackend."""
        options = {"restore_momentum": restore_momentum, "only_if": only_if}
        result: RestoreResult = await self._ask(name, "write", "restore", tag, **options)
        return result

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """See MemoryBackend."""
        result: RollbackResult = await self._ask(name, "write", "rollback", seq, only_if=only_if)
        return result

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """See MemoryBackend."""
        try:
            result: ForkResult = await self._owners.call(self._catalog, Call("fork", (name, tag, new_name)))
        except Conflict as error:
            if not is_after_loss(error) or (await self._find(new_name)).info.parent != f"{name}@{tag}":
                raise
            page = await self.list_checkpoints(name, prefix=tag, limit=_SAME_PREFIX_MAX)
            weight_hash = _tagged(page, tag, error).weight_hash
            return ForkResult(memory=new_name, parent=name, parent_tag=tag, weight_hash=weight_hash)
        return result

    async def fork_many(self, name: MemoryName, tag: Tag, new_name: MemoryName, count: int) -> FanOutResult:
        """See FamilyBackend. Forks whose processes need what is scarce start together: Unavailable (PENDING) if not."""
        place = self._seats.place(await self._find(name))
        names = fork_names(new_name, count)
        nodes = [] if place.is_shared else await self._reserved(FanOut(needs=place.needs, count=count))
        with self._seats.meant(names, nodes):
            return await super().fork_many(name, tag, new_name, count)

    async def _reserved(self, fan_out: FanOut) -> list[str]:
        if not fan_out.bundle:
            return []
        nodes = await asyncio.to_thread(ray_api.nodes_for, fan_out, _TOGETHER_WITHIN_S)
        if nodes is None:
            waits_for = fan_out.unmet(await asyncio.to_thread(ray_api.nodes))
            raise Unavailable(
                f"The forks are pending: {waits_for or 'they do not fit at once'}.",
                code=PENDING,
                hint="Add such nodes, wait for them, or make fewer.",
                retry_after_s=5.0,
            )
        return nodes

    async def owner_pid(self, name: MemoryName) -> int:
        """The process that owns a memory now; the actor is started if there is none."""

        async def attempt(known: KnownMemory) -> int:
            pid: int = await self._owners.call(self._seats.owner(known), Call("pid"))
            return pid

        return await self._with_memory(name, attempt)

    async def placement(self, name: MemoryName) -> PlacementReport:
        """Where a memory lives and why, without waking it."""
        known = await self._find(name)
        place, spec = self._seats.place(known), self._seats.owner(known)
        waits_for = unmet(place.needs, await asyncio.to_thread(ray_api.nodes))
        host = await self._owners.call_if_there(spec, Call("report"), timeout_s=_REPORT_TIMEOUT_S)
        standby = None
        if spec.standby is not None:
            standby = await self._standbys.report(self._seats.standby(known), None if host is None else host.node)
        return told(known, place, host, waits_for, standby)

    async def restart(self, name: MemoryName) -> None:
        """Kill the process of a memory that has it to itself; Conflict (HOST_SHARED) for others."""

        async def attempt(known: KnownMemory) -> None:
            if self._seats.place(known).is_shared:
                raise Conflict(
                    f"The memory {name} shares its process with others.",
                    code="HOST_SHARED",
                    hint="Only one made with placement.isolation=dedicated can be restarted.",
                )
            await self._owners.end(self._seats.owner(known))

        await self._with_memory(name, attempt)

    async def close(self) -> None:
        """See MemoryBackend. The actors live on: they belong to the cluster, not to this process."""

    async def _adopt(self, name: MemoryName, fork: MemoryName, tag: Tag, previous_tag: Tag) -> PromoteResult:
        result: PromoteResult = await self._ask(name, "write", "adopt", fork, tag, previous_tag)
        return result

    async def _ask_volume(self, method: str, *args: Any) -> Any:
        return await self._keepers.call(self._catalog, Call("storage", (method, *args)))

    async def _ask_owner(self, name: MemoryName, method: str, *args: Any) -> Any:
        return await self._ask(name, "read", method, *args)

    async def _tell_owner(self, name: MemoryName, method: str, *args: Any) -> Any:
        return await self._ask(name, "write", method, *args)

    async def _ask(self, name: MemoryName, door: str, method: str, *args: Any, **options: Any) -> Any:
        return await self._with_memory(name, lambda known: self._call(known, door, method, *args, **options))

    async def _with_memory(self, name: MemoryName, attempt: Callable[[KnownMemory], Awaitable[_T]]) -> _T:
        """Run ``attempt`` on what the name means; once more when that was deleted and the name given anew."""
        known = await self._find(name)
        try:
            return await attempt(known)
        except PreconditionFailed as error:
            if not is_after_loss(error):
                raise
            raise _unknown_outcome(name) from error
        except NotFound as error:
            if error.code != _MEMORY_NOT_FOUND:
                raise
            self._known.pop(name, None)
            now = await self._find(name)
            if now.uid == known.uid:
                raise
        return await attempt(now)

    async def _call(self, known: KnownMemory, door: str, method: str, *args: Any, **options: Any) -> Any:
        return await self._call_owner(known, Call(door, (method, *args), options))

    async def _call_owner(self, known: KnownMemory, call: Call) -> Any:
        options = {**call.options, "context": current_context()}
        call = replace(call, arguments=(tenant_of(known), *call.arguments), options=options)
        home = self._seats.owner(known)
        try:
            return await self._owners.call(home, call, lambda: self._require_current(known))
        finally:
            if home.standby is not None:
                self._standbys.keep(home, self._seats.standby(known))

    async def _read_behind(self, known: KnownMemory, fingerprint: str, method: str, *args: Any) -> Any:
        """What the memory's standby answers; None when there is none, or it cannot."""
        if not known.info.placement.standby:
            return None
        standby = self._seats.standby(known)
        self._standbys.keep(self._seats.owner(known), standby)
        options = {"fingerprint": fingerprint, "context": current_context()}
        return await self._standbys.read(standby, Call("read_behind", (method, *args), options))

    async def _find(self, name: MemoryName) -> KnownMemory:
        if name not in self._known:
            self._known[name] = await self._look_up(name)
        return self._known[name]

    async def _look_up(self, name: MemoryName) -> KnownMemory:
        known: KnownMemory = await self._owners.call(self._catalog, Call("find", (name,)))
        return known

    async def _require_current(self, known: KnownMemory) -> None:
        if (await self._look_up(known.name)).uid != known.uid:
            raise NotFound(f"The memory {known.name} was deleted.", code=_MEMORY_NOT_FOUND, hint="Try again.")

    async def _encode(self, known: KnownMemory, texts: Sequence[str]) -> tuple[list[EncodedText], str]:
        info = await self._encoders.describe(known.encoder)
        return await self._encoders.encode(known.encoder, texts), info.fingerprint

    async def _let_go(self, known: KnownMemory) -> None:
        """After a deletion: nothing of it may stay in RAM."""
        spec = self._seats.owner(known)
        if spec.standby is not None:
            await self._owners.end(self._seats.standby(known))
        if self._seats.place(known).is_shared:
            await self._owners.call_if_there(spec, Call("release", (known.uid,), {"must_fold": False}))
        else:
            await self._owners.end(spec)


def _unknown_outcome(name: MemoryName) -> Unavailable:
    """A version that is not there any more, after the process that was asked first was lost."""
    return Unavailable(
        f"The process of {name} was lost during the call, which may have been carried out.",
        hint="Read the memory again, and decide again.",
    )


@dataclass(frozen=True, slots=True)
class _RemoteRun:
    """A consolidation by the owner of a memory, asked through ``ask``."""

    ask: Callable[[str], Awaitable[Any]]

    async def look(self) -> Progress | None:
        """See Run."""
        found: Progress | None = await self.ask("progress")
        return found

    async def cancel(self) -> None:
        """See Run. An owner that cannot be reached has stopped with it."""
        with suppress(NeuralMemoryError):
            await self.ask("cancel")


def _tagged(page: CheckpointPage, tag: Tag, error: Conflict) -> CheckpointInfo:
    for info in page.checkpoints:
        if info.tag == tag:
            return info
    raise error
