"""A MemoryBackend of plain dictionaries: no torch, no storage. Remembers texts word by word and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import EncoderInfo
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.family import FamilyOperations
from memory_core.family_results import PromoteResult
from memory_core.ids import EncoderId, MemoryName, PatternId, Seq, Tag
from memory_core.insight_results import (
    Activity,
    AttentionMap,
    AttentionRow,
    AttentionToken,
    Continuation,
    DiffResult,
    ExplainResult,
    LearnedEvent,
    MergeResult,
    PatternExplanation,
    PatternMap,
    PatternPoint,
    PredictResult,
)
from memory_core.progress import OnProgress
from memory_core.results import (
    CapacityReport,
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    EncodedText,
    Exemplar,
    ForgetReceipt,
    ForgetSelection,
    ForkResult,
    InferOptions,
    InferResult,
    MeasuredShare,
    MemoryInfo,
    MemoryPage,
    MemoryStats,
    Observation,
    ObserveOptions,
    ObserveOutcome,
    ObserveResult,
    PatternMatch,
    ReencodeResult,
    RestoreResult,
    RollbackResult,
    SurpriseResult,
)
from memory_core.terms import MemoryTerms, TermsChange, Versions, require_version

WHEN = "2026-01-01T00:00:00Z"
_SHARE = MeasuredShare(value=1.0, low=0.98, high=1.0, sample=256)
_CAPACITY = CapacityReport(
    capacity_used=0.1,
    replay_recall=_SHARE,
    replay_recall_oldest=_SHARE,
    null_response=0.0,
    units_used=0.1,
    pairs=6,
    pairs_capacity=60,
    effective_dimension=5.0,
)


class FakeEncoderPool:
    """Serves ``hash`` with meaningless keys."""

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        if encoder != "hash":
            raise InvalidInput(f"The encoder {ascii(encoder)} is not served here.", hint="Use hash.")
        return EncoderInfo(encoder_id=encoder, fingerprint="f" * 8, key_dim=8)

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        await self.describe(encoder)
        key = np.full((1, 8), 8**-0.5, dtype=np.float32)
        return [EncodedText(text=text, spans=((0, len(text)),), keys_SD=key) for text in texts]


@dataclass
class _Memory:
    config: MemoryConfig
    parent: str | None = None
    terms: MemoryTerms = field(default_factory=MemoryTerms)
    texts: list[str] = field(default_factory=list)
    tags: dict[Tag, list[str]] = field(default_factory=dict)
    answers: dict[str, ObserveResult] = field(default_factory=dict)

    @property
    def weight_hash(self) -> str:
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()


class FakeBackend(FamilyOperations):
    """Follows the contract of MemoryBackend closely enough for the doors above it."""

    def __init__(self) -> None:
        self.memories: dict[MemoryName, _Memory] = {}
        self.is_closed = False
        self.consolidations: list[tuple[int, float]] = []

    def _get(self, name: MemoryName, only_if: Versions | None = None) -> _Memory:
        if name not in self.memories:
            raise NotFound(f"No memory is called {name}.", code="MEMORY_NOT_FOUND", hint="Create it, or list them.")
        require_version(name, self.memories[name].weight_hash, only_if)
        return self.memories[name]

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        if name in self.memories:
            raise Conflict(f"The memory {name} exists already.", hint="Choose another name.")
        self.memories[name] = _Memory(config, terms=(terms or MemoryTerms()).starting(datetime.now(UTC)))
        return self._info(name)

    async def change(self, name: MemoryName, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        memory = self._get(name, only_if)
        memory.terms = memory.terms.changed(change, datetime.now(UTC))
        return memory.terms

    def _info(self, name: MemoryName) -> MemoryInfo:
        memory = self._get(name)
        config = memory.config
        return MemoryInfo(
            name=name,
            encoder=config.encoder,
            variant=config.variant,
            units=config.units,
            key_dim=config.key_dim,
            created_at=WHEN,
            parent=memory.parent,
        )

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        names = [name for name in sorted(self.memories) if cursor is None or name > cursor]
        page = names[:limit]
        more = page[-1] if len(names) > limit else None
        return MemoryPage(memories=tuple(self._info(name) for name in page), next_cursor=more)

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        memory = self._get(name)
        return MemoryStats(
            name=name,
            seq=Seq(len(memory.texts)),
            epoch=1,
            encoder=memory.config.encoder,
            variant=memory.config.variant,
            observation_count=len(memory.texts),
            pattern_count=len(set(memory.texts)),
            units=memory.config.units,
            parameter_count=1000,
            weight_hash=memory.weight_hash,
            capacity_used=0.0,
            surprise_recent_mean=0.5,
            learning_rate=memory.config.learning_rate,
            state_bytes=0,
            created_at=WHEN,
            parent=memory.parent,
            checkpoint_tags=tuple(memory.tags),
            terms=memory.terms,
            capacity=_CAPACITY if detailed else None,
        )

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        self._get(name, only_if)
        del self.memories[name]

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        memory = self._get(name)
        if options.request_id in memory.answers:
            return replace(memory.answers[str(options.request_id)], is_replayed_answer=True)
        outcomes = tuple(self._learn(memory, observation.text) for observation in observations)
        answer = ObserveResult(memory=name, outcomes=outcomes, capacity_used=0.0, observation_count=len(memory.texts))
        if options.request_id is not None:
            memory.answers[options.request_id] = answer
        return answer

    def _learn(self, memory: _Memory, text: str) -> ObserveOutcome:
        surprise = 0.0 if text in memory.texts else 1.0
        memory.texts.append(text)
        return ObserveOutcome(
            seq=Seq(len(memory.texts)),
            surprise=surprise,
            weight_delta=surprise,
            learned=True,
            patterns_activated=(PatternId(memory.texts.index(text)),),
        )

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        memory = self._get(name)
        words = set(prompt.lower().split())
        best = max(memory.texts, key=lambda text: len(words & set(text.lower().split())), default=None)
        if best is None:
            return InferResult(memory=name, response="", confidence=0.0, mode="not_learned", patterns=())
        exemplar = Exemplar(text=best, seq=Seq(memory.texts.index(best) + 1))
        match = PatternMatch(pattern=PatternId(0), weight=1.0, exemplars=(exemplar,), channels={"words": 1.0})
        return InferResult(memory=name, response=best, confidence=0.9, mode="recall", patterns=(match,))

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        memory = self._get(name)
        return tuple(
            SurpriseResult(
                memory=name,
                score=0.0 if text in memory.texts else 1.0,
                nearest_pattern=None,
                surprising_words=(),
                recommendation="skip" if text in memory.texts else "learn",
                reason="seen" if text in memory.texts else "new",
            )
            for text in texts
        )

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        texts = self._get(name).texts
        patterns = tuple(
            PatternExplanation(
                pattern=PatternId(seq),
                description=text,
                words=tuple(text.split()),
                exemplar=Exemplar(text=text, seq=Seq(seq)),
                examples=(),
                strength=1.0,
                learned_at_seq=Seq(seq),
                learned_at=None,
                activation_count=1,
            )
            for seq, text in enumerate(texts[:top_k], start=1)
        )
        return ExplainResult(memory=name, pattern_count=len(texts), patterns=patterns)

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        rows = tuple(
            AttentionRow(
                pattern=PatternId(0),
                weight=1.0,
                channels={},
                word_weights=(1.0,),
                exemplar=Exemplar(text=text, seq=Seq(1)),
            )
            for text in self._get(name).texts[:top_k]
        )
        return AttentionMap(memory=name, tokens=(AttentionToken(word=query, start=0, end=len(query)),), rows=rows)

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        texts = self._get(name).texts
        points = tuple(
            PatternPoint(
                pattern=PatternId(place),
                x=float(place),
                y=0.0,
                strength=1.0,
                activation_count=1,
                exemplars=(Exemplar(text=text, seq=Seq(place + 1)),),
            )
            for place, text in enumerate(texts[:limit])
        )
        return PatternMap(memory=name, pattern_count=len(texts), variance_shown=1.0, points=points)

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        texts = self._get(name).texts
        events = tuple(
            LearnedEvent(
                seq=Seq(seq),
                surprise=1.0,
                weight_delta=1.0,
                learned=True,
                patterns=(),
                text=text,
                domain=None,
                session=None,
                observed_at=WHEN,
            )
            for seq, text in list(enumerate(texts, start=1))[-limit:]
        )
        return Activity(memory=name, seq=Seq(len(texts)), observations_per_minute=0.0, events=events)

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        found = tuple(
            Continuation(
                pattern=PatternId(0), probability=0.5, learned_share=1.0, exemplar=Exemplar(text=known, seq=Seq(1))
            )
            for known in self._get(name).texts[:top_k]
        )
        return PredictResult(memory=name, based_on="text" if session is None else "session", continuations=found)

    async def diff(
        self,
        name: MemoryName,
        other: MemoryName,
        *,
        tag: Tag | None = None,
        other_tag: Tag | None = None,
        limit: int = 20,
    ) -> DiffResult:
        here = self._get(name).texts if tag is None else self._tagged(name, tag)
        there = self._get(other).texts if other_tag is None else self._tagged(other, other_tag)
        only_here = [text for text in here if text not in there]
        return DiffResult(
            memory=name,
            tag=tag,
            other=other,
            other_tag=other_tag,
            only_here_count=len(only_here),
            only_there_count=0,
            changed_count=0,
            shared_count=len(here) - len(only_here),
            only_here=tuple(Exemplar(text=text, seq=Seq(1)) for text in only_here[:limit]),
            only_there=(),
            changed=(),
            recall_here=1.0,
            recall_there=1.0,
            recall_moved=0.0,
        )

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        memory, tag = self._get(name), tag or next(iter(self._get(other).tags), Tag("none"))
        new = [text for text in self._tagged(other, tag) if text not in memory.texts]
        before = len(memory.texts)
        memory.texts += new
        return MergeResult(
            memory=name,
            other=other,
            other_tag=tag,
            texts_merged=len(new),
            texts_known=0,
            patterns_before=before,
            patterns_after=len(memory.texts),
            observation_count=len(memory.texts),
        )

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        self._get(name)
        self.consolidations.append((steps, ewc_lambda))
        if on_progress is not None:
            on_progress(0.5, "rehearsing")
            on_progress(1.0, "done")
        return ConsolidateResult(
            memory=name,
            patterns_merged=0,
            memory_compressed_by=0.0,
            stability_before=1.0,
            stability_after=1.0,
            stability_score=1.0,
            held_out=0,
            duration_ms=float(steps),
        )

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        memory = self._get(name, only_if)
        words = set((selection.subject or "").lower().split())
        gone = [text for text in memory.texts if words <= set(text.lower().split())]
        if not is_dry_run:
            memory.texts = [text for text in memory.texts if text not in gone]
        return ForgetReceipt(
            memory=name,
            is_dry_run=is_dry_run,
            patterns_removed=len(set(gone)),
            exemplars_removed=len(gone),
            texts_measured=len(gone),
            surprise_before=0.0 if gone else None,
            surprise_after=1.0 if gone else None,
            recall_before=1.0 if gone else None,
            recall_after=0.0 if gone else None,
            checkpoints_holding=tuple(tag for tag, texts in memory.tags.items() if set(gone) & set(texts)),
            forks_holding=(),
            exemplars=tuple(Exemplar(text=text, seq=Seq(1)) for text in gone) if is_dry_run else (),
            duration_ms=1.0,
        )

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        source = self._get(name)
        await self.create(new_name, source.config.with_changes(encoder=encoder))
        made = self.memories[new_name]
        made.texts = list(source.texts)
        return ReencodeResult(
            memory=new_name,
            source=name,
            encoder=encoder,
            encoder_fingerprint="f" * 8,
            observation_count=len(made.texts),
            pattern_count=len(set(made.texts)),
            weight_hash=made.weight_hash,
        )

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        memory = self._get(name)
        if tag in memory.tags:
            raise Conflict(f"The tag {tag} exists already.", hint="Choose another tag.")
        memory.tags[tag] = list(memory.texts)
        return replace(self._checkpoint_info(name, tag, description), has_momentum=include_momentum)

    def _checkpoint_info(self, name: MemoryName, tag: Tag, description: str = "") -> CheckpointInfo:
        memory = self._get(name)
        count = len(memory.tags[tag])
        return CheckpointInfo(
            memory=name,
            tag=tag,
            seq=Seq(count),
            weight_hash=memory.weight_hash,
            size_bytes=count,
            created_at=WHEN,
            description=description,
            observation_count=count,
            pattern_count=count,
        )

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        tags = [tag for tag in self._get(name).tags if tag.startswith(prefix)]
        page = tuple(self._checkpoint_info(name, tag) for tag in reversed(tags[:limit]))
        return CheckpointPage(checkpoints=page, next_cursor=None)

    def _tagged(self, name: MemoryName, tag: Tag) -> list[str]:
        tags = self._get(name).tags
        if tag not in tags:
            raise NotFound(
                f"{name} has no checkpoint {tag}.", code="CHECKPOINT_NOT_FOUND", hint="List the checkpoints."
            )
        return list(tags[tag])

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        kept = self._tagged(name, tag)
        memory = self._get(name, only_if)
        lost = len(memory.texts) - len(kept)
        memory.texts = kept
        return RestoreResult(memory=name, tag=tag, weight_hash=memory.weight_hash, observations_lost=lost, warning=None)

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        memory = self._get(name, only_if)
        lost = len(memory.texts) - seq
        if lost < 0:
            raise InvalidInput(f"{name} has never been at {seq}.", hint="Take a position from stats.")
        memory.texts = memory.texts[:seq]
        return RollbackResult(
            memory=name, seq=seq, weight_hash=memory.weight_hash, observations_lost=lost, warning=None
        )

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        texts = self._tagged(name, tag)
        if new_name in self.memories:
            raise Conflict(f"The memory {new_name} exists already.", hint="Choose another name.")
        self.memories[new_name] = _Memory(self._get(name).config, parent=f"{name}@{tag}", texts=texts)
        return ForkResult(memory=new_name, parent=name, parent_tag=tag, weight_hash=self._get(new_name).weight_hash)

    async def _adopt(self, name: MemoryName, fork: MemoryName, tag: Tag, previous_tag: Tag) -> PromoteResult:
        memory = self._get(name)
        await self.checkpoint(name, previous_tag)
        lost = len(set(memory.texts) - set(self._tagged(fork, tag)))
        memory.texts = self._tagged(fork, tag)
        return PromoteResult(
            memory=name,
            fork=fork,
            tag=tag,
            previous_tag=previous_tag,
            weight_hash=memory.weight_hash,
            observations_lost=lost,
        )

    async def close(self) -> None:
        self.is_closed = True
