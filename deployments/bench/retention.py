"""bench retention: does a memory still know what it learned first, with its budget free, used up and far exceeded?

Observations are sentences of the documentation inside this Python, real text that every machine has. The first hundred
are asked again by their exact text; so are those of the oldest tenth (a sample), at growing multiples of the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployments.bench.progress import Progress
from memory_core.backend import MemoryBackend
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, Observation, ObserveOptions

BATCH: Final = 128
FIRST: Final = 100
SAMPLE: Final = 100
MULTIPLES: Final = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


async def first_hundred(
    backend: MemoryBackend, name: MemoryName, sentences: Sequence[str], progress: Progress
) -> dict[str, float]:
    """Observe everything, then ask the first hundred and the oldest tenth again: share answered by that very text."""
    await _observe(backend, name, sentences, progress)
    tenth = sentences[: max(1, len(sentences) // 10)]
    return {
        "first100_recall@1": await exact_recall(backend, name, sentences[:FIRST]),
        "oldest_tenth_recall": await exact_recall(backend, name, _spread(tenth)),
        "all_recall@1": await exact_recall(backend, name, _spread(sentences)),
        "observations": float(len(sentences)),
        "units_used": (await backend.stats(name)).capacity_used,
    }


async def budget_curve(
    backend: MemoryBackend, name: MemoryName, sentences: Sequence[str], budget: int, progress: Progress
) -> list[dict[str, float]]:
    """Recall at multiples of the budget in units: of everything so far, of the oldest tenth and of the newest."""
    rows, done = [], 0
    for multiple in MULTIPLES:
        target = min(len(sentences), round(budget * multiple))
        await _observe(backend, name, sentences[done:target], progress)
        done = target
        seen = sentences[:done]
        tenth = max(1, done // 10)
        rows.append(
            {
                "multiple": done / budget,
                "all": await exact_recall(backend, name, _spread(seen)),
                "oldest_tenth": await exact_recall(backend, name, _spread(seen[:tenth])),
                "newest_tenth": await exact_recall(backend, name, _spread(seen[-tenth:])),
            }
        )
    return rows


async def exact_recall(backend: MemoryBackend, name: MemoryName, texts: Sequence[str]) -> float:
    """Share of texts that are themselves the first text recalled for them."""
    hits = 0
    for text in texts:
        answer = await backend.infer(name, text, InferOptions(pattern_limit=1))
        hits += any(match.exemplars[0].text in text for match in answer.patterns)
    return hits / max(1, len(texts))


async def _observe(backend: MemoryBackend, name: MemoryName, sentences: Sequence[str], progress: Progress) -> None:
    for start in range(0, len(sentences), BATCH):
        batch = [Observation(text=text) for text in sentences[start : start + BATCH]]
        await backend.observe(name, batch, ObserveOptions())
        progress.advance(len(batch))


def _spread(texts: Sequence[str]) -> list[str]:
    step = max(1, len(texts) // SAMPLE)
    return list(texts[::step][:SAMPLE])


def draw(curve: Sequence[dict[str, float]], file: Path) -> None:
    """The curve as a picture; needs matplotlib (extra ``bench``)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    multiples = [row["multiple"] for row in curve]
    for name, label in (("newest_tenth", "newest tenth"), ("all", "everything"), ("oldest_tenth", "oldest tenth")):
        axes.plot(multiples, [row[name] for row in curve], marker="o", label=label)
    axes.plot(multiples, [min(1.0, 1.0 / multiple) for multiple in multiples], "k:", label="a store of as many rows")
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set(xlabel="observations / units", ylabel="recall@1 by exact text", ylim=(0, 1.03))
    axes.set_title("What is still known beyond the budget of units")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    plt.close(figure)
