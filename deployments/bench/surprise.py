"""bench surprise: observe a set of texts, then score probes without learning them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from deployments.bench.changed_facts import changed_facts
from deployments.bench.data import SurpriseSet
from deployments.bench.progress import Progress
from deployments.bench.report import auroc
from memory_core.backend import MemoryBackend
from memory_core.ids import MemoryName
from memory_core.results import Observation, ObserveOptions

BATCH: Final = 64


async def surprise_figures(
    backend: MemoryBackend, name: MemoryName, data: SurpriseSet, progress: Progress
) -> dict[str, float]:
    """Mean score per label, and how well scores tell paraphrases from new texts and repeats from changed facts."""
    for start in range(0, len(data.stored), BATCH):
        batch = [Observation(text=text) for text in data.stored[start : start + BATCH]]
        await backend.observe(name, batch, ObserveOptions())
        progress.advance(len(batch))
    scores: dict[str, list[float]] = defaultdict(list)
    for start in range(0, len(data.probes), BATCH):
        probes = data.probes[start : start + BATCH]
        results = await backend.surprise(name, [probe.text for probe in probes])
        for probe, result in zip(probes, results, strict=True):
            scores[probe.label].append(result.score)
        progress.advance(len(probes))
    figures = {f"mean_{label}": sum(found) / len(found) for label, found in sorted(scores.items())}
    changed = changed_facts(data.stored)
    for start in range(0, len(changed), BATCH):
        results = await backend.surprise(name, changed[start : start + BATCH])
        scores["changed"] += [result.score for result in results]
        progress.advance(len(results))
    figures |= _changed_figures(scores)
    for known, new in (("paraphrase", "novel_in"), ("related", "novel_in"), ("paraphrase", "novel_out")):
        if known in scores and new in scores:
            figures[f"auroc_{known}_{new}"] = auroc(scores[known], scores[new])
    return figures


def _changed_figures(scores: dict[str, list[float]]) -> dict[str, float]:
    exact, changed = scores.get("exact", []), scores["changed"]
    if not exact or not changed:
        return {}
    mean_changed = sum(changed) / len(changed)
    return {
        "mean_changed": mean_changed,
        "auroc_exact_changed": auroc(exact, changed),
        "gap_changed_exact": mean_changed - sum(exact) / len(exact),
    }
