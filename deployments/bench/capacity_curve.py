"""What one network recalled as its pairs went up: a curve, its N95 and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

TABLE: Final = "table"
GOAL: Final = 0.95


@dataclass(slots=True)
class Curve:
    """What one network recalled as the pairs went up."""

    name: str
    megabytes: float
    ms_write: float
    pairs: list[int] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    oldest: list[float] = field(default_factory=list)
    newest: list[float] = field(default_factory=list)
    us_per_pair: float = 0.0

    def n95(self) -> float:
        """Pairs at which recall falls to 95%."""
        points = list(zip(self.pairs, self.recalls, strict=True))
        for (n, recall), (n_next, recall_next) in pairwise(points):
            if recall_next < GOAL <= recall:
                share = (recall - GOAL) / (recall - recall_next)
                return float(n * (n_next / n) ** share)
        return float(self.pairs[-1]) if self.recalls[-1] >= GOAL else 0.0

    def rows(self) -> list[dict[str, Any]]:
        """One table row per N."""
        columns = (self.pairs, self.recalls, self.oldest, self.newest)
        names = ("pairs", "recall@1", "oldest_tenth", "newest_tenth")
        return [{"network": self.name} | dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Recall over pairs as a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.5), dpi=120)
    for curve in curves:
        style = "k--" if curve.name == TABLE else "-"
        axes.plot(curve.pairs, curve.recalls, style, marker=".", label=f"{curve.name} ({curve.megabytes:.1f} MB)")
    axes.axhline(GOAL, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="pairs stored, each written once", ylabel="recall@1 of all pairs", ylim=(0, 1.02))
    axes.set_title("Associative recall of the fast weights, 2,048 values")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
