"""What a host measures of itself. No label names a memory, a tenant or a key: a figure is of all that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure. ``bounds``: of a histogram's buckets; ``labels``: what it is split by."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

OBSERVATIONS: Final = Measure("neural_memory_observations", "Observations learned.")
FAILURES: Final = Measure("neural_memory_failures", "Calls that raised, by code.", ("code",))
EPOCH_CHANGES: Final = Measure(
    "neural_memory_epoch_changes", "Epochs claimed: memories opened, taken over or reopened."
)
PASSIVATIONS: Final = Measure("neural_memory_passivations", "Memories that left for idleness or for room.")
COUNTERS: Final = (OBSERVATIONS, FAILURES, EPOCH_CHANGES, PASSIVATIONS)

STAGE_SECONDS: Final = Measure("neural_memory_stage_seconds", "Time of each stage.", ("stage",), _SECONDS)
REPLAY_SECONDS: Final = Measure("neural_memory_replay_seconds", "Time to recover a memory.", (), _SECONDS)
SURPRISE: Final = Measure("neural_memory_surprise", "Surprise of each observation.", (), _SHARES)
HISTOGRAMS: Final = (STAGE_SECONDS, REPLAY_SECONDS, SURPRISE)

CAPACITY: Final = Measure("neural_memory_capacity_used_max", "Of the fullest memory here that learned lately.")
JOURNAL_LAG: Final = Measure("neural_memory_journal_lag_records", "Journal records that no snapshot holds yet.")
RESIDENTS: Final = Measure("neural_memory_residents", "Memories in RAM.")
STATE_BYTES: Final = Measure("neural_memory_state_bytes", "Bytes reserved for their states.")
GAUGES: Final = (CAPACITY, JOURNAL_LAG, RESIDENTS, STATE_BYTES)


class Meter(Protocol):
    """Where figures go."""

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        """Add to a counter, put into a histogram, or set a gauge."""
        ...


class NoMeter:
    """Measures nothing."""

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        """See Meter."""
