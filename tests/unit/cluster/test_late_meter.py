"""Figures come late, but all of them."""

from __future__ import annotations

import threading

from cluster import host_meter as figures
from cluster.host_meter import Measure
from cluster.late_meter import LateMeter


class Told:
    """A Meter that remembers, in order, and says when something came."""

    def __init__(self) -> None:
        self.figures: list[tuple[str, float, dict[str, str]]] = []
        self.has_come = threading.Event()

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        self.figures.append((measure.name.removeprefix("neural_memory_"), value, labels))
        self.has_come.set()


def test_counters_are_summed_gauges_replaced_and_histograms_kept() -> None:
    told = Told()
    late = LateMeter(told, period_s=0)
    for value in (2.0, 3.0):
        late.add(figures.OBSERVATIONS, value)
        late.add(figures.RESIDENTS, value)
        late.add(figures.STAGE_SECONDS, value, stage="read")
    late.add(figures.FAILURES, code="A")
    late.add(figures.FAILURES, code="B")
    assert not told.figures
    late.hand_on()
    assert sorted(told.figures, key=str) == sorted(
        [
            ("observations", 5.0, {}),
            ("residents", 3.0, {}),
            ("stage_seconds", 2.0, {"stage": "read"}),
            ("stage_seconds", 3.0, {"stage": "read"}),
            ("failures", 1.0, {"code": "A"}),
            ("failures", 1.0, {"code": "B"}),
        ],
        key=str,
    )
    told.figures.clear()
    late.hand_on()
    assert not told.figures


def test_they_are_handed_on_without_being_asked_for() -> None:
    told = Told()
    LateMeter(told, period_s=0.01).add(figures.PASSIVATIONS)
    assert told.has_come.wait(30)
    assert told.figures == [("passivations", 1.0, {})]


class FailsOnce(Told):
    """A meter whose first figure is too much for it."""

    def __init__(self) -> None:
        super().__init__()
        self.has_failed = threading.Event()

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        if not self.has_failed.is_set():
            self.has_failed.set()
            raise RuntimeError("no connection")
        super().add(measure, value, **labels)


def test_a_meter_that_fails_loses_its_figures_and_no_later_ones() -> None:
    told = FailsOnce()
    late = LateMeter(told, period_s=0.01)
    late.add(figures.PASSIVATIONS)
    assert told.has_failed.wait(30)
    late.add(figures.OBSERVATIONS, 2.0)
    assert told.has_come.wait(30)
    assert told.figures == [("observations", 2.0, {})]
