"""NeuralMemory: a memory to use in a notebook or a script, without a service, a journal or an event loop.

What is not saved is lost: for durability use a service or ``local_backend``.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from memory_core import engine
from memory_core.config import MemoryConfig
from memory_core.consolidation.forget import LISTED_MAX
from memory_core.encoding.encoder import Encoder
from memory_core.encoding.registry import open_encoder
from memory_core.errors import Conflict, CorruptData, InvalidInput, NotFound, ReadOnly, Saturated
from memory_core.ids import MemoryName, Seq
from memory_core.insight_results import AttentionMap, DiffResult, ExplainResult, PredictResult, StateAddress
from memory_core.progress import OnProgress
from memory_core.results import (
    CapacityReport,
    ConsolidateResult,
    EncodedObservation,
    ForgetReceipt,
    ForgetSelection,
    InferOptions,
    InferResult,
    Metadata,
    Observation,
    ObserveOutcome,
    SurpriseResult,
)
from memory_core.state import MemoryState, StateParts

FORMAT: Final = "neural-memory/1"
NAME: Final = MemoryName("notebook")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookStats:
    """As MemoryStats, without what only a service keeps. ``capacity``: measured only when asked for in detail."""

    encoder: str
    variant: str
    observation_count: int
    pattern_count: int
    units: int
    parameter_count: int
    weight_hash: str
    capacity_used: float
    surprise_recent_mean: float
    state_bytes: int
    capacity: CapacityReport | None


class NeuralMemory:
    """A memory and the encoder that makes its keys. Not safe for several threads at once.

    >>> from memory_core import NeuralMemory
    >>> memory = NeuralMemory.create(encoder="hash", units=64, rows=256, heads=4, active_rows=16)
    >>> outcome, = memory.observe("The printer on floor two needs magenta toner.")
    >>> outcome.learned
    True
    >>> memory.infer("Which toner does the printer need?").response
    'The printer on floor two needs magenta toner.'
    >>> memory.surprise("Herons wait for fish.").recommendation
    'learn'
    >>> copy = memory.fork()
    >>> _ = copy.observe(["Herons wait for fish.", "Copper conducts heat."], domain="nature")
    >>> len(memory), len(copy)
    (1, 3)
    """

    def __init__(self, state: MemoryState, encoder: Encoder) -> None:
        """Use ``create`` or ``load``. Conflict (ENCODER_MISMATCH) when the encoder did not make the state's keys."""
        if (encoder.fingerprint, encoder.key_dim) != (state.config.encoder_fingerprint, state.config.key_dim):
            raise Conflict(
                f"This memory was made with another version of the encoder {state.config.encoder}.",
                code="ENCODER_MISMATCH",
                hint="Use the encoder it was made with: keys of another one mean nothing to it.",
            )
        self.state = state
        self._encoder = encoder

    @classmethod
    def create(cls, encoder: str = "minilm", *, device: str = "cpu", **config: Any) -> NeuralMemory:
        """An empty memory. ``config``: fields of MemoryConfig such as ``units`` or ``variant``.

        Raises InvalidInput for an unknown encoder or setting.
        """
        opened = open_encoder(encoder)
        settings = {
            **config,
            "encoder": opened.encoder_id,
            "encoder_fingerprint": opened.fingerprint,
            "key_dim": opened.key_dim,
        }
        return cls(MemoryState.create(MemoryConfig.from_dict(settings), device), opened)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> NeuralMemory:
        """A memory from the file that ``save`` wrote. NotFound (FILE_NOT_FOUND), CorruptData, Conflict."""
        file = Path(path)
        if not file.is_file():
            raise NotFound(f"There is no file {ascii(str(file))}.", code="FILE_NOT_FOUND", hint="Check the path.")
        config, parts = _read(file)
        return cls(MemoryState.from_parts(config, parts, device), open_encoder(config.encoder))

    @property
    def config(self) -> MemoryConfig:
        """Its settings."""
        return self.state.config

    def __len__(self) -> int:
        """Observations made."""
        return self.state.observation_count

    def __repr__(self) -> str:
        """Settings and counts."""
        used, units = self.state.pattern_count, self.config.units
        return f"NeuralMemory({self.config.encoder}, {self.config.variant}, {len(self)} observations, {used}/{units})"

    def observe(
        self,
        text: str | Sequence[str],
        *,
        domain: str | None = None,
        session: str | None = None,
        occurred_at: str | None = None,
        metadata: Metadata | None = None,
        learning_rate: float | None = None,
    ) -> tuple[ObserveOutcome, ...]:
        """Learn a text, or several in order as one chunk; all get the same labels. On an error nothing is learned."""
        texts = [text] if isinstance(text, str) else list(text)
        batch = [
            EncodedObservation(
                observation=Observation(
                    text=one, domain=domain, session=session, occurred_at=occurred_at, metadata=metadata or {}
                ),
                encoded=encoded,
            )
            for one, encoded in zip(texts, self._encoder.encode(texts), strict=True)
        ]
        return self._learn(batch, learning_rate)

    def infer(self, prompt: str, **options: Any) -> InferResult:
        """Answer from what was learned. ``options``: fields of InferOptions such as ``pattern_limit`` or ``domain``."""
        (query,) = self._encoder.encode([prompt])
        return engine.infer(self.state, NAME, query, InferOptions(**options))

    def surprise(self, text: str) -> SurpriseResult:
        """How new a text is; nothing is learned."""
        (encoded,) = self._encoder.encode([text])
        return engine.surprise(self.state, NAME, encoded)

    def predict_next(self, text: str | None = None, *, session: str | None = None, top_k: int = 5) -> PredictResult:
        """What is expected after a text, or after the last turn of a session."""
        encoded = None if text is None else self._encoder.encode([text])[0]
        return engine.predict_next(self.state, NAME, text=encoded, session=session, top_k=top_k)

    def explain(self, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """What the strongest patterns stand for."""
        return engine.explain(self.state, NAME, top_k, domain)

    def attention_map(self, query: str, top_k: int = 5) -> AttentionMap:
        """Which words of a query lead to which patterns."""
        (encoded,) = self._encoder.encode([query])
        return engine.attention_map(self.state, NAME, encoded, top_k)

    def consolidate(
        self, steps: int = 1, *, ewc_lambda: float = 0.0, on_progress: OnProgress = lambda _, __: None
    ) -> ConsolidateResult:
        """Merge near-duplicates and rehearse; ``ewc_lambda`` holds the weights where they were.

        ``on_progress`` is told the share done and the phase; what it raises leaves the memory as it was.
        """
        plan = engine.ConsolidationPlan(steps=steps, ewc_lambda=ewc_lambda)
        self.state, result = engine.consolidate(self.state, NAME, plan, on_progress)
        return result

    def forget(self, subject: str | None = None, *, is_dry_run: bool = False, **conditions: Any) -> ForgetReceipt:
        """Leave out what meets every condition, with what was measured of it before and after.

        ``conditions``: fields of ForgetSelection such as ``patterns`` or ``occurred_from``. Files that were saved
        before are not touched. A dry run only tells what would go.
        """
        selection = ForgetSelection(subject=subject, **conditions)
        chosen = engine.cut(self.state, selection)
        encoded = self._encoder.encode(list(chosen.texts_to_encode)) if chosen.texts_to_encode else []
        state, receipt = engine.forget(self.state, NAME, selection, encoded)
        if is_dry_run:
            return replace(receipt, is_dry_run=True, exemplars=chosen.removed[:LISTED_MAX])
        self.state = state
        return receipt

    def stats(self, *, detailed: bool = False) -> NotebookStats:
        """Counts and how full it is; ``detailed`` also measures what still reads back."""
        state = self.state
        return NotebookStats(
            encoder=self.config.encoder,
            variant=self.config.variant,
            observation_count=state.observation_count,
            pattern_count=state.pattern_count,
            units=self.config.units,
            parameter_count=state.parameter_count,
            weight_hash=state.weight_hash(),
            capacity_used=engine.capacity_used(state),
            surprise_recent_mean=state.surprise_recent,
            state_bytes=state.size_bytes,
            capacity=engine.measure_capacity(state) if detailed else None,
        )

    def diff(self, other: NeuralMemory, limit: int = 20) -> DiffResult:
        """How it differs from another one."""
        here, there = StateAddress(NAME, None), StateAddress(MemoryName("other"), None)
        return engine.diff(self.state, other.state, (here, there), limit)

    def merge(self, other: NeuralMemory) -> tuple[ObserveOutcome, ...]:
        """Learn what the other one knows and this one does not; nothing twice."""
        new, _ = engine.merge_observations(self.state, other.state)
        return self._learn(new, None) if new else ()

    def fork(self) -> NeuralMemory:
        """An independent copy."""
        return NeuralMemory(self.state.clone(), self._encoder)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, whole or not at all. ``load`` continues bit by bit."""
        file, parts = Path(path), self.state.to_parts()
        tensors = {f"{group}/{name}": tensor for group, named in parts.blobs.items() for name, tensor in named.items()}
        about = {"config": self.config.to_dict(), "header": parts.header}
        data = save(tensors, metadata={"format": FORMAT, "memory": json.dumps(about)})
        unfinished = file.with_name(f"{file.name}.{uuid.uuid4().hex}.part")
        try:
            unfinished.write_bytes(data)
            unfinished.replace(file)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise InvalidInput(
                f"The file {ascii(str(file))} cannot be written ({error.strerror}).", hint="Check the folder."
            ) from error

    def _learn(self, batch: Sequence[EncodedObservation], learning_rate: float | None) -> tuple[ObserveOutcome, ...]:
        first, before = Seq(self.state.observation_count + 1), self.state.copied()
        try:
            self.state, outcomes = engine.observe(self.state, batch, first_seq=first, learning_rate=learning_rate)
        except (InvalidInput, ReadOnly, Saturated):
            raise  # before anything changed
        except BaseException:
            # A step that is not finite, or an interrupted cell: the patterns were placed already.
            self.state = before.state()
            raise
        return outcomes


def _read(file: Path) -> tuple[MemoryConfig, StateParts]:
    blobs: dict[str, dict[str, Any]] = {}
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CorruptData(f"{ascii(file.name)} is not a saved memory.", hint=f"Its format must be {FORMAT}.")
            about = json.loads(metadata["memory"])
            for key in opened.keys():  # noqa: SIM118  safe_open is not a mapping
                group, _, name = key.partition("/")
                blobs.setdefault(group, {})[name] = opened.get_tensor(key)
        return MemoryConfig.from_dict(about["config"]), StateParts(blobs=blobs, header=about["header"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"{ascii(file.name)} cannot be read.", hint="Load another copy of it.") from error
