"""The typed Python client: ``Client`` for scripts and notebooks, ``AsyncClient`` for asyncio.

Names and tags are plain strings, checked before anything is sent. Errors are those of ``memory_core.errors``. Calls
that are safe to repeat are repeated when the service asks for patience; observe carries a key, so it is one of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx

from deployments.client_jobs import AsyncJobs, Jobs
from deployments.client_quarantine import AsyncQuarantine, Quarantine
from deployments.client_streams import Learned, Source, Told, export_to, import_from, infer_stream, observe_stream
from deployments.http_client import TIMEOUT_DEFAULT_S, RemoteBackend
from memory_core.family_results import CompareResult, FamilyObserveResult, FanOutResult, Probe, PromoteResult
from memory_core.ids import Seq, Tag, parse_memory_name, parse_request_id, parse_tag
from memory_core.insight_results import AttentionMap, DiffResult, ExplainResult, MergeResult, PredictResult
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
    MemoryStats,
    Metadata,
    Observation,
    ObserveOptions,
    ObserveResult,
    RestoreResult,
    RollbackResult,
    SurpriseResult,
)
from memory_core.storage_results import ExportFormat, ImportResult
from memory_core.terms import MemoryTerms, TermsChange, Versions

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_PAGE: Final = 200
_T = TypeVar("_T")
Texts = str | Observation | Sequence[str | Observation]
"""One text, or several; an Observation where more than a text travels."""


class AsyncClient(AsyncJobs, AsyncQuarantine):
    """A running service at ``base_url``. Use from one event loop; ``transport`` replaces the network, for tests."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_DEFAULT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._remote: RemoteBackend = RemoteBackend(base_url, timeout_s=timeout_s, api_key=api_key, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._remote.close()

    async def is_ready(self) -> bool:
        """True when the service answers and can work."""
        return await self._remote.is_ready()

    async def memories(self) -> AsyncIterator[MemoryInfo]:
        """All memories that the key sees, in name order, page by page."""
        cursor: str | None = None
        while True:
            page = await self._remote.list_memories(limit=_PAGE, cursor=cursor)
            for info in page.memories:
                yield info
            cursor = page.next_cursor
            if cursor is None:
                return

    async def create(self, memory: str, **settings: Any) -> MemoryInfo:
        """Make an empty memory; ``settings`` are the fields of ``POST /v1/memories``."""
        return await self._remote.create_chosen(parse_memory_name(memory), settings)

    async def stats(self, memory: str, *, detailed: bool = False) -> MemoryStats:
        """Counts, weight hash and capacity."""
        return await self._remote.stats(parse_memory_name(memory), detailed=detailed)

    async def change(self, memory: str, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """Change the description, whether the memory learns, or how long it lives. ``only_if``: weight hashes."""
        return await self._remote.change(parse_memory_name(memory), change, only_if=only_if)

    async def delete(self, memory: str, *, only_if: Versions | None = None) -> None:
        """Remove a memory with its checkpoints. This cannot be undone."""
        await self._remote.delete(parse_memory_name(memory), only_if=only_if)

    def observe_stream(
        self, memory: str, what: Source, *, idempotency_key: str | None = None
    ) -> AsyncIterator[Learned]:
        """Learn as it comes, without an end if you like; tells of each batch once it is durable."""
        request_id = None if idempotency_key is None else parse_request_id(idempotency_key)
        return observe_stream(self._remote, parse_memory_name(memory), what, request_id)

    def infer_stream(self, memory: str, prompt: str, *, domain: str | None = None) -> AsyncIterator[str | InferResult]:
        """Pieces of the response as they come, and last the whole result."""
        return infer_stream(self._remote, parse_memory_name(memory), prompt, InferOptions(domain=domain))

    async def export_to(
        self, memory: str, path: str | Path, *, tag: str | None = None, form: ExportFormat = "nmem"
    ) -> int:
        """Write a memory, as it is now or at a tag, to a file; its size in bytes."""
        return await export_to(self._remote, parse_memory_name(memory), Path(path), _tag(tag), form)

    async def import_from(self, memory: str, path: str | Path) -> ImportResult:
        """Make a memory from a ``.nmem`` file."""
        return await import_from(self._remote, parse_memory_name(memory), Path(path))

    async def observe(
        self, memory: str, what: Texts, *, learning_rate: float | None = None, idempotency_key: str | None = None
    ) -> ObserveResult:
        """Learn. Answered once it is durable."""
        options = ObserveOptions(
            request_id=None if idempotency_key is None else parse_request_id(idempotency_key),
            learning_rate=learning_rate,
        )
        return await self._remote.observe(parse_memory_name(memory), _observations(what), options)

    async def infer(
        self,
        memory: str,
        prompt: str,
        *,
        pattern_limit: int = 5,
        domain: str | None = None,
        metadata: Metadata | None = None,
    ) -> InferResult:
        """Answer from what was learned."""
        options = InferOptions(pattern_limit=pattern_limit, domain=domain, metadata=metadata or {})
        return await self._remote.infer(parse_memory_name(memory), prompt, options)

    async def surprise(self, memory: str, texts: Sequence[str]) -> tuple[SurpriseResult, ...]:
        """How new each text is; nothing is learned."""
        return await self._remote.surprise(parse_memory_name(memory), texts)

    async def explain(self, memory: str, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """What the strongest patterns stand for."""
        return await self._remote.explain(parse_memory_name(memory), top_k=top_k, domain=domain)

    async def attention(self, memory: str, query: str, *, top_k: int = 5) -> AttentionMap:
        """Which words of a query lead to which patterns."""
        return await self._remote.attention_map(parse_memory_name(memory), query, top_k=top_k)

    async def predict_next(
        self, memory: str, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """What is expected after a text, or after the last turn of a session."""
        return await self._remote.predict_next(parse_memory_name(memory), text=text, session=session, top_k=top_k)

    async def diff(
        self, memory: str, other: str | None = None, *, tag: str | None = None, other_tag: str | None = None
    ) -> DiffResult:
        """How a memory differs from another, or from a version of itself."""
        name = parse_memory_name(memory)
        there = name if other is None else parse_memory_name(other)
        return await self._remote.diff(name, there, tag=_tag(tag), other_tag=_tag(other_tag))

    async def merge(self, memory: str, other: str, *, tag: str | None = None) -> MergeResult:
        """Learn what a checkpoint of another memory knows."""
        return await self._remote.merge(parse_memory_name(memory), parse_memory_name(other), tag=_tag(tag))

    async def consolidate(self, memory: str, *, steps: int = 1, ewc_lambda: float = 0.0) -> ConsolidateResult:
        """Merge near-duplicate patterns and rehearse."""
        return await self._remote.consolidate(parse_memory_name(memory), steps=steps, ewc_lambda=ewc_lambda)

    async def forget(self, memory: str, selection: ForgetSelection, *, dry_run: bool = False) -> ForgetReceipt:
        """Leave out what is selected; a dry run only tells what would go."""
        return await self._remote.forget(parse_memory_name(memory), selection, is_dry_run=dry_run)

    async def checkpoint(self, memory: str, tag: str, description: str = "") -> CheckpointInfo:
        """Publish the current state under a tag."""
        return await self._remote.checkpoint(parse_memory_name(memory), parse_tag(tag), description)

    async def checkpoints(
        self, memory: str, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """One page of checkpoints, newest first."""
        return await self._remote.list_checkpoints(parse_memory_name(memory), prefix=prefix, limit=limit, cursor=cursor)

    async def restore(self, memory: str, tag: str) -> RestoreResult:
        """Go back to a checkpoint."""
        return await self._remote.restore(parse_memory_name(memory), parse_tag(tag))

    async def rollback(self, memory: str, seq: int) -> RollbackResult:
        """Go back to a position that the journal still reaches."""
        return await self._remote.rollback(parse_memory_name(memory), Seq(seq))

    async def fork(self, memory: str, tag: str, new_name: str) -> ForkResult:
        """A new memory from a checkpoint."""
        return await self._remote.fork(parse_memory_name(memory), parse_tag(tag), parse_memory_name(new_name))

    async def fork_many(self, memory: str, tag: str, new_name: str, count: int) -> FanOutResult:
        """``new_name-1`` to ``new_name-count`` from one checkpoint; all or none."""
        return await self._remote.fork_many(
            parse_memory_name(memory), parse_tag(tag), parse_memory_name(new_name), count
        )

    async def family(self, memory: str) -> tuple[str, ...]:
        """Names of the memory's forks."""
        return (await self._remote.family(parse_memory_name(memory))).forks

    async def observe_all(self, memory: str, what: Texts, *, idempotency_key: str | None = None) -> FamilyObserveResult:
        """Let every fork of a memory learn the same."""
        options = ObserveOptions(request_id=None if idempotency_key is None else parse_request_id(idempotency_key))
        return await self._remote.observe_all(parse_memory_name(memory), _observations(what), options)

    async def compare(self, memory: str, probes: Sequence[str | Probe]) -> CompareResult:
        """Which fork of a memory learned more."""
        asked = [Probe(text=one) if isinstance(one, str) else one for one in probes]
        return await self._remote.compare(parse_memory_name(memory), asked)

    async def promote(self, fork: str, tag: str) -> PromoteResult:
        """Make a fork's version its parent's state."""
        return await self._remote.promote(parse_memory_name(fork), parse_tag(tag))


class Client(Jobs, Quarantine):
    """As AsyncClient, for code without asyncio; also inside a notebook's running loop. Thread-safe."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_DEFAULT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="neural-memory-client", daemon=True)
        self._thread.start()
        self._client: AsyncClient = AsyncClient(base_url, api_key=api_key, timeout_s=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; closing twice does nothing."""
        if self._loop.is_closed():
            return
        self._do(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def is_ready(self) -> bool:
        """See AsyncClient."""
        return self._do(self._client.is_ready())

    def memories(self) -> Iterator[MemoryInfo]:
        """See AsyncClient."""
        return self._each(self._client.memories())

    def create(self, memory: str, **settings: Any) -> MemoryInfo:
        """See AsyncClient."""
        return self._do(self._client.create(memory, **settings))

    def stats(self, memory: str, *, detailed: bool = False) -> MemoryStats:
        """See AsyncClient."""
        return self._do(self._client.stats(memory, detailed=detailed))

    def change(self, memory: str, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """See AsyncClient."""
        return self._do(self._client.change(memory, change, only_if=only_if))

    def delete(self, memory: str, *, only_if: Versions | None = None) -> None:
        """See AsyncClient."""
        self._do(self._client.delete(memory, only_if=only_if))

    def observe_stream(
        self, memory: str, what: Iterable[Told], *, idempotency_key: str | None = None
    ) -> Iterator[Learned]:
        """See AsyncClient."""
        return self._each(self._client.observe_stream(memory, what, idempotency_key=idempotency_key))

    def infer_stream(self, memory: str, prompt: str, *, domain: str | None = None) -> Iterator[str | InferResult]:
        """See AsyncClient."""
        return self._each(self._client.infer_stream(memory, prompt, domain=domain))

    def export_to(self, memory: str, path: str | Path, *, tag: str | None = None, form: ExportFormat = "nmem") -> int:
        """See AsyncClient."""
        return self._do(self._client.export_to(memory, path, tag=tag, form=form))

    def import_from(self, memory: str, path: str | Path) -> ImportResult:
        """See AsyncClient."""
        return self._do(self._client.import_from(memory, path))

    def observe(
        self, memory: str, what: Texts, *, learning_rate: float | None = None, idempotency_key: str | None = None
    ) -> ObserveResult:
        """See AsyncClient."""
        return self._do(
            self._client.observe(memory, what, learning_rate=learning_rate, idempotency_key=idempotency_key)
        )

    def infer(
        self,
        memory: str,
        prompt: str,
        *,
        pattern_limit: int = 5,
        domain: str | None = None,
        metadata: Metadata | None = None,
    ) -> InferResult:
        """See AsyncClient."""
        return self._do(
            self._client.infer(memory, prompt, pattern_limit=pattern_limit, domain=domain, metadata=metadata)
        )

    def surprise(self, memory: str, texts: Sequence[str]) -> tuple[SurpriseResult, ...]:
        """See AsyncClient."""
        return self._do(self._client.surprise(memory, texts))

    def explain(self, memory: str, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """See AsyncClient."""
        return self._do(self._client.explain(memory, top_k=top_k, domain=domain))

    def attention(self, memory: str, query: str, *, top_k: int = 5) -> AttentionMap:
        """See AsyncClient."""
        return self._do(self._client.attention(memory, query, top_k=top_k))

    def predict_next(
        self, memory: str, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """See AsyncClient."""
        return self._do(self._client.predict_next(memory, text=text, session=session, top_k=top_k))

    def diff(
        self, memory: str, other: str | None = None, *, tag: str | None = None, other_tag: str | None = None
    ) -> DiffResult:
        """See AsyncClient."""
        return self._do(self._client.diff(memory, other, tag=tag, other_tag=other_tag))

    def merge(self, memory: str, other: str, *, tag: str | None = None) -> MergeResult:
        """See AsyncClient."""
        return self._do(self._client.merge(memory, other, tag=tag))

    def consolidate(self, memory: str, *, steps: int = 1, ewc_lambda: float = 0.0) -> ConsolidateResult:
        """See AsyncClient."""
        return self._do(self._client.consolidate(memory, steps=steps, ewc_lambda=ewc_lambda))

    def forget(self, memory: str, selection: ForgetSelection, *, dry_run: bool = False) -> ForgetReceipt:
        """See AsyncClient."""
        return self._do(self._client.forget(memory, selection, dry_run=dry_run))

    def checkpoint(self, memory: str, tag: str, description: str = "") -> CheckpointInfo:
        """See AsyncClient."""
        return self._do(self._client.checkpoint(memory, tag, description))

    def checkpoints(
        self, memory: str, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """See AsyncClient."""
        return self._do(self._client.checkpoints(memory, prefix=prefix, limit=limit, cursor=cursor))

    def restore(self, memory: str, tag: str) -> RestoreResult:
        """See AsyncClient."""
        return self._do(self._client.restore(memory, tag))

    def rollback(self, memory: str, seq: int) -> RollbackResult:
        """See AsyncClient."""
        return self._do(self._client.rollback(memory, seq))

    def fork(self, memory: str, tag: str, new_name: str) -> ForkResult:
        """See AsyncClient."""
        return self._do(self._client.fork(memory, tag, new_name))

    def fork_many(self, memory: str, tag: str, new_name: str, count: int) -> FanOutResult:
        """See AsyncClient."""
        return self._do(self._client.fork_many(memory, tag, new_name, count))

    def family(self, memory: str) -> tuple[str, ...]:
        """See AsyncClient."""
        return self._do(self._client.family(memory))

    def observe_all(self, memory: str, what: Texts, *, idempotency_key: str | None = None) -> FamilyObserveResult:
        """See AsyncClient."""
        return self._do(self._client.observe_all(memory, what, idempotency_key=idempotency_key))

    def compare(self, memory: str, probes: Sequence[str | Probe]) -> CompareResult:
        """See AsyncClient."""
        return self._do(self._client.compare(memory, probes))

    def promote(self, fork: str, tag: str) -> PromoteResult:
        """See AsyncClient."""
        return self._do(self._client.promote(fork, tag))

    def _each(self, source: AsyncIterator[_T]) -> Iterator[_T]:
        while (item := self._do(_next_or_none(source))) is not None:
            yield item

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _next_or_none(source: AsyncIterator[_T]) -> _T | None:
    """The next item; None at the end."""
    return await anext(source, None)


def _observations(what: Texts) -> list[Observation]:
    several = [what] if isinstance(what, str | Observation) else what
    return [Observation(text=one) if isinstance(one, str) else one for one in several]


def _tag(raw: str | None) -> Tag | None:
    return None if raw is None else parse_tag(raw)
