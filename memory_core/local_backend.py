"""MemoryBackend in this process: each memory is opened on first use and owned until ``close``.

Blocking work runs in threads of its own, never on the event loop. A writer that was fenced or failed is dropped; the
next call opens the memory again.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from memory_core.config import MemoryConfig
from memory_core.consolidation.plan import ConsolidationPlan
from memory_core.encoding.encoder import EncoderInfo, EncoderPool
from memory_core.errors import Conflict, InvalidInput, NeuralMemoryError, Unavailable
from memory_core.family import FamilyOperations
from memory_core.family_results import PromoteResult
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
from memory_core.progress import OnProgress, Progress, watched
from memory_core.results import (
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    EncodedObservation,
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
from memory_core.retelling import Story, retell
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.open_store import open_store
from memory_core.terms import MemoryTerms, Versions
from memory_core.volume import Volume
from memory_core.volume_storage import VolumeStorage
from memory_core.writer import MemoryWriter, WriterSettings

T = TypeVar("T")
THREADS: Final = 64
_LOOK_MIN_S: Final = 0.05
_LOOK_MAX_S: Final = 30.0
_LOG: Final = logging.getLogger(__name__)


class LocalBackend(VolumeStorage, FamilyOperations):
    """MemoryBackend over one volume. Use from one event loop."""

    def __init__(self, store: ObjectStore | str, encoders: EncoderPool, settings: WriterSettings | None = None) -> None:
        """``store``: a volume's URL, opened and probed here (this blocks shortly), or an open store."""
        opened = open_store(store) if isinstance(store, str) else store
        self._volume = Volume(opened, settings)
        self._encoders = encoders
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="memory")
        self._writers: dict[MemoryName, asyncio.Task[MemoryWriter]] = {}
        self._every_s = settings.rhythm.every_s if settings is not None else None
        self._keeper: asyncio.Task[None] | None = None
        self._is_closed = False

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """See MemoryBackend."""
        served = await self._encoders.describe(config.encoder)
        if not _fits(served, config):
            raise InvalidInput(
                f"The encoder {config.encoder} served here does not fit the settings of memory {name}.",
                hint=f"Use key_dim={served.key_dim} and the fingerprint of the encoder as it is served.",
                key_dim=served.key_dim,
            )
        return await self._in_thread(lambda: self._volume.create(name, config, terms))

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """See MemoryBackend."""
        for name in await self._in_thread(self._volume.delete_expired):
            await self._drop(name)
        return await self._in_thread(lambda: self._volume.list_memories(limit, cursor))

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        """See MemoryBackend."""
        return await self._with_writer(name, lambda writer: writer.stats(detailed=detailed))

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        """See MemoryBackend."""
        if only_if is not None:
            await self._with_writer(name, lambda writer: writer.delete(only_if))
            return
        await self._in_thread(lambda: self._volume.delete(name))
        await self._drop(name)

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """See MemoryBackend."""
        writer = await self._writer(name)
        encoded = await self._encoders.encode(writer.config.encoder, [item.text for item in observations])
        batch = [
            EncodedObservation(observation=item, encoded=keys) for item, keys in zip(observations, encoded, strict=True)
        ]
        return await self._with_writer(name, lambda writer: writer.observe(batch, options))

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        """See MemoryBackend."""
        writer = await self._writer(name)
        (query,) = await self._encoders.encode(writer.config.encoder, [prompt])
        return await self._with_writer(name, lambda writer: writer.infer(query, options))

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        """See MemoryBackend."""
        writer = await self._writer(name)
        encoded = await self._encoders.encode(writer.config.encoder, texts)
        return await self._with_writer(name, lambda writer: writer.surprise(encoded, domain))

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """See MemoryBackend."""
        return await self._with_writer(name, lambda writer: writer.explain(top_k, domain))

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        """See MemoryBackend."""
        writer = await self._writer(name)
        (encoded,) = await self._encoders.encode(writer.config.encoder, [query])
        return await self._with_writer(name, lambda writer: writer.attention_map(encoded, top_k))

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        """See MemoryBackend."""
        return await self._with_writer(name, lambda writer: writer.pattern_map(limit))

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        """See MemoryBackend."""
        return await self._with_writer(name, lambda writer: writer.activity(limit))

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """See MemoryBackend."""
        writer = await self._writer(name)
        encoded = None if text is None else (await self._encoders.encode(writer.config.encoder, [text]))[0]
        return await self._with_writer(name, lambda writer: writer.predict_next(encoded, session, top_k))

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
        return await self._with_writer(name, lambda writer: writer.diff(other, tag, other_tag, limit))

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        """See MemoryBackend."""
        return await self._with_writer(name, lambda writer: writer.merge(other, tag))

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        """See MemoryBackend."""
        plan = ConsolidationPlan(steps=steps, ewc_lambda=ewc_lambda)
        run = _LocalRun(await self._writer(name), uuid.uuid4().hex)
        work = self._with_writer(name, lambda writer: writer.consolidate(plan, run_id=run.run_id))
        return await watched(work, run, on_progress)

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """See MemoryBackend."""
        writer = await self._writer(name)
        texts = await self._with_writer(name, lambda writer: writer.texts_to_forget(selection))
        encoded = await self._encoders.encode(writer.config.encoder, texts) if texts else []
        return await self._with_writer(
            name, lambda writer: writer.forget(selection, encoded, is_dry_run=is_dry_run, only_if=only_if)
        )

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        """See MemoryBackend."""
        served = await self._encoders.describe(encoder)
        return await retell(self, await self._story(name), served, new_name)

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        """See MemoryBackend."""
        return await self._with_writer(
            name, lambda writer: writer.checkpoint(tag, description, include_momentum=include_momentum)
        )

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """See MemoryBackend."""
        return await self._in_thread(lambda: self._volume.list_checkpoints(name, prefix, limit, cursor))

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        """See MemoryBackend."""
        return await self._with_writer(
            name, lambda writer: writer.restore(tag, restore_momentum=restore_momentum, only_if=only_if)
        )

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """See MemoryBackend."""
        return await self._with_writer(name, lambda writer: writer.rollback(seq, only_if=only_if))

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """See MemoryBackend."""
        return await self._in_thread(lambda: self._volume.fork(name, tag, new_name))

    async def close(self) -> None:
        """See MemoryBackend. Folds each open memory's journal, so that the next start is fast."""
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        opening, self._writers = list(self._writers.values()), {}
        for opened in await asyncio.gather(*opening, return_exceptions=True):
            if isinstance(opened, MemoryWriter):
                await self._close_writer(opened)
        self._threads.shutdown(wait=False)

    async def _adopt(self, name: MemoryName, fork: MemoryName, tag: Tag, previous_tag: Tag) -> PromoteResult:
        return await self._with_writer(name, lambda writer: writer.adopt(fork, tag, previous_tag))

    async def _ask_volume(self, method: str, *args: Any) -> Any:
        return await self._in_thread(lambda: getattr(self._volume, method)(*args))

    async def _ask_owner(self, name: MemoryName, method: str, *args: Any) -> Any:
        return await self._with_writer(name, lambda writer: getattr(writer, method)(*args))

    async def _tell_owner(self, name: MemoryName, method: str, *args: Any) -> Any:
        return await self._ask_owner(name, method, *args)

    async def _story(self, name: MemoryName) -> Story:
        """What a memory was told; also of one whose encoder is not served any more."""
        try:
            return await self._with_writer(name, lambda writer: writer.story())
        except (Conflict, InvalidInput):
            writer = await self._in_thread(lambda: self._volume.open_writer(name))
        try:
            return await self._in_thread(writer.story)
        finally:
            await self._in_thread(lambda: writer.close(must_fold=False))

    async def _close_writer(self, writer: MemoryWriter) -> None:
        try:
            await self._in_thread(writer.close)
        except NeuralMemoryError as error:
            # The journal has it all; only the next start is slower.
            _LOG.warning("Memory %s was closed without a snapshot: %s", writer.name, error.code)

    async def _with_writer(self, name: MemoryName, call: Callable[[MemoryWriter], T]) -> T:
        writer = await self._writer(name)
        try:
            return await self._in_thread(lambda: call(writer))
        finally:
            if not writer.is_usable:
                await self._drop(name, writer)

    async def _writer(self, name: MemoryName) -> MemoryWriter:
        """The open writer of a memory; whoever asks first opens it, the others wait for that."""
        if self._is_closed:
            raise Unavailable("The backend is closed.", code="BACKEND_CLOSED", hint="Open another one.")
        if self._keeper is None and self._every_s is not None:
            self._keeper = asyncio.create_task(self._keep_time_forever(self._every_s))
        opening = self._writers.get(name)
        if opening is None:
            opening = asyncio.create_task(self._open(name))
            self._writers[name] = opening
        try:
            return await asyncio.shield(opening)
        except (NeuralMemoryError, asyncio.CancelledError):
            if opening.done() and self._writers.get(name) is opening:
                del self._writers[name]
            raise

    async def _keep_time_forever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(min(max(every_s / 4, _LOOK_MIN_S), _LOOK_MAX_S))
            opened = [one for one in self._writers.values() if one.done() and not one.exception()]
            for writer in (one.result() for one in opened):
                try:
                    await self._in_thread(writer.keep_time)
                except NeuralMemoryError as error:
                    _LOG.warning("Memory %s could not publish a version (%s).", writer.name, error.code)

    async def _open(self, name: MemoryName) -> MemoryWriter:
        entry = await self._in_thread(lambda: self._volume.find(name))
        served = await self._encoders.describe(EncoderId(entry.info.encoder))
        writer = await self._in_thread(lambda: self._volume.open_writer(name))
        if not _fits(served, writer.config):
            await self._in_thread(lambda: writer.close(must_fold=False))
            raise Conflict(
                f"Memory {name} was made with another version of encoder {writer.config.encoder}.",
                code="ENCODER_MISMATCH",
                hint="Serve the encoder it was made with: keys of another one mean nothing to it.",
                memory=name,
                fingerprint=writer.config.encoder_fingerprint,
            )
        return writer

    async def _drop(self, name: MemoryName, writer: MemoryWriter | None = None) -> None:
        """Forget the open writer of a memory (only if it is that one) and release its handles."""
        opening = self._writers.get(name)
        if opening is None or not opening.done() or opening.exception() is not None:
            return
        if writer is None or opening.result() is writer:
            del self._writers[name]
            opened = opening.result()
            await self._in_thread(lambda: opened.close(must_fold=False))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@dataclass(frozen=True, slots=True)
class _LocalRun:
    """A consolidation by a writer of this process."""

    writer: MemoryWriter
    run_id: str

    async def look(self) -> Progress | None:
        """See Run."""
        return self.writer.progress(self.run_id)

    async def cancel(self) -> None:
        """See Run."""
        self.writer.cancel(self.run_id)


def _fits(served: EncoderInfo, config: MemoryConfig) -> bool:
    return served.key_dim == config.key_dim and served.fingerprint == config.encoder_fingerprint
