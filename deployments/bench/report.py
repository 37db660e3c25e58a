"""What every benchmark prints: named figures, and the conditions they were measured under."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``figures``: name to number, flat. ``conditions``: what a reader needs to judge them."""

    bench: str
    figures: dict[str, float]
    conditions: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The one object that ``--json`` prints."""
        rounded = {name: round(value, 6) for name, value in self.figures.items()}
        return {"bench": self.bench, "figures": rounded, "conditions": self.conditions}


def conditions(**chosen: Any) -> dict[str, Any]:
    """Commit, processor and software, and what the benchmark adds."""
    return {"commit": _commit(), "cpu": _cpu(), "python": platform.python_version(), **chosen}


def percentile(values: list[float], percent: float) -> float:
    """A percentile, 0.0 of nothing."""
    return float(np.percentile(values, percent)) if values else 0.0


def auroc(familiar: list[float], novel: list[float]) -> float:
    """Probability that a novel probe scores above a familiar one; ties count half. 0.5 when a side is empty."""
    if not familiar or not novel:
        return 0.5
    ordered = np.sort(np.array(familiar))
    below = np.searchsorted(ordered, novel, side="left") + np.searchsorted(ordered, novel, side="right")
    return float(below.mean() / (2 * len(ordered)))


def calibration_error(answered: list[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error: mean distance of confidence and share of right answers over bins of confidence."""
    if not answered:
        return 0.0
    confidence, is_right = np.array(answered, dtype=np.float64).T
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    chosen = [bin_of == number for number in range(bins) if (bin_of == number).any()]
    return float(sum(which.mean() * abs(confidence[which].mean() - is_right[which].mean()) for which in chosen))


def _commit() -> str:
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.machine()
