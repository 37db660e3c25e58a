"""bench recall: observe a data set, ask its questions, and see whether the evidence comes back.

recall@k is the mean over questions of the share of their evidence observations among the first k exemplar texts that
``infer`` returns; a merged pattern counts for each observation it carries, in rank order.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from deployments.bench.data import Question, Row
from deployments.bench.progress import Progress
from deployments.bench.report import auroc, calibration_error, percentile
from memory_core.backend import MemoryBackend
from memory_core.ids import MemoryName
from memory_core.results import Channel, InferOptions, InferResult, Observation, ObserveOptions

RANKS: Final = (1, 5, 10)
BATCH: Final = 64
WARM_UP: Final = 3


@dataclass(slots=True)
class RecallTally:
    """Sums over all memories of a run."""

    hits: dict[int, list[float]] = field(default_factory=lambda: {rank: [] for rank in RANKS})
    infer_ms: list[float] = field(default_factory=list)
    answered: list[tuple[float, bool]] = field(default_factory=list)
    never_said: list[float] = field(default_factory=list)
    channels: tuple[Channel, ...] | None = None
    observations: int = 0
    observe_s: float = 0.0

    def recalls(self, suffix: str) -> dict[str, float]:
        """recall@1/5/10, with a suffix to the names."""
        return {f"recall@{rank}{suffix}": sum(found) / max(1, len(found)) for rank, found in self.hits.items()}

    def figures(self) -> dict[str, float]:
        """recall@1/5/10, obs_per_s, percentiles of infer's duration in ms, and the expected calibration error.

        With questions about what was never said also ``calibration_error_all``, where these count as wrong answers,
        and how confidence tells both kinds apart.
        """
        figures = self.recalls("") | {
            "obs_per_s": self.observations / max(self.observe_s, 1e-9),
            "infer_ms_p50": percentile(self.infer_ms, 50),
            "infer_ms_p95": percentile(self.infer_ms, 95),
            "calibration_error": calibration_error(self.answered),
        }
        if not self.never_said:
            return figures
        told = [confidence for confidence, _ in self.answered]
        return figures | {
            "calibration_error_all": calibration_error(self.answered + [(value, False) for value in self.never_said]),
            "confidence_answerable": sum(told) / max(1, len(told)),
            "confidence_never_said": sum(self.never_said) / len(self.never_said),
            "auroc_answerable_never_said": auroc(self.never_said, told),
        }


async def observe_rows(
    backend: MemoryBackend, name: MemoryName, rows: Sequence[Row], tally: RecallTally, progress: Progress
) -> None:
    """Learn the rows in order, in batches."""
    for start in range(0, len(rows), BATCH):
        batch = [
            Observation(text=row.text, session=row.session, occurred_at=row.time) for row in rows[start : start + BATCH]
        ]
        started = time.perf_counter()
        await backend.observe(name, batch, ObserveOptions())
        tally.observe_s += time.perf_counter() - started
        tally.observations += len(batch)
        progress.advance(len(batch))


async def ask_questions(
    backend: MemoryBackend,
    name: MemoryName,
    rows: Sequence[Row],
    questions: Sequence[Question],
    tally: RecallTally,
    progress: Progress,
) -> None:
    """Ask each answerable question and count the evidence that came back."""
    ids_of_text: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        ids_of_text[row.text].append(row.id)
    options = InferOptions(pattern_limit=max(RANKS), channels=tally.channels)
    for question in questions[:WARM_UP]:
        await backend.infer(name, question.question, options)
    for question in questions:
        started = time.perf_counter()
        answer = await backend.infer(name, question.question, options)
        tally.infer_ms.append(1000 * (time.perf_counter() - started))
        found = _ranked_ids(answer, ids_of_text, rows)
        evidence = set(question.evidence_ids)
        tally.answered.append((answer.confidence, bool(evidence & _ids_in_response(answer, ids_of_text))))
        for rank in RANKS:
            hit = evidence & {row_id for ids in found[:rank] for row_id in ids}
            tally.hits[rank].append(len(hit) / len(evidence))
        progress.advance(1)


async def ask_what_was_never_said(
    backend: MemoryBackend, name: MemoryName, questions: Sequence[str], tally: RecallTally
) -> None:
    """Ask questions that no observation answers: only how confident the answers are is counted."""
    for question in questions:
        answer = await backend.infer(name, question, InferOptions(channels=tally.channels))
        tally.never_said.append(answer.confidence)


def _ranked_ids(answer: InferResult, ids_of_text: dict[str, list[str]], rows: Sequence[Row]) -> list[list[str]]:
    """Ids behind each returned text, in rank order; passages of one long observation count as one text."""
    found: list[list[str]] = []
    seen: set[int] = set()
    for match in answer.patterns:
        for exemplar in match.exemplars:
            whole = ids_of_text.get(exemplar.text)
            if whole is None:
                if exemplar.seq in seen:
                    continue
                seen.add(exemplar.seq)
            found.append(whole if whole is not None else [rows[exemplar.seq - 1].id])
    return found


def _ids_in_response(answer: InferResult, ids_of_text: dict[str, list[str]]) -> set[str]:
    told = [
        exemplar.text for match in answer.patterns for exemplar in match.exemplars if exemplar.text in answer.response
    ]
    return {row_id for text in told for row_id in ids_of_text.get(text, [])}
