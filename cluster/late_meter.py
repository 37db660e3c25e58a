"""A meter that no caller waits for: figures are handed on by a thread, a moment later. Ray-free."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final

from cluster.host_meter import COUNTERS, GAUGES, Measure, Meter

_PERIOD_S: Final = 0.5

_log = logging.getLogger(__name__)

_Figure = tuple[Measure, tuple[tuple[str, str], ...]]
"""A measure with the labels that it is split by."""


class LateMeter:
    """Hands figures on to another meter: of a counter the sum, of a gauge the last, of a histogram each."""

    def __init__(self, meter: Meter, period_s: float = _PERIOD_S) -> None:
        """``period_s``: between two times; with 0 only who calls ``hand_on`` does it."""
        self._meter = meter
        self._period_s = period_s
        self._waiting: deque[tuple[_Figure, float]] = deque()
        if period_s:
            threading.Thread(target=self._hand_on_forever, name="meter", daemon=True).start()

    def add(self, measure: Measure, value: float = 1.0, **labels: str) -> None:
        """See Meter."""
        self._waiting.append(((measure, tuple(labels.items())), value))

    def hand_on(self) -> None:
        """Hand on what has come until now."""
        sums: dict[_Figure, float] = {}
        last: dict[_Figure, float] = {}
        for _ in range(len(self._waiting)):
            figure, value = self._waiting.popleft()
            if figure[0] in COUNTERS:
                sums[figure] = sums.get(figure, 0.0) + value
            elif figure[0] in GAUGES:
                last[figure] = value
            else:
                self._meter.add(figure[0], value, **dict(figure[1]))
        for (measure, labels), value in (sums | last).items():
            self._meter.add(measure, value, **dict(labels))

    def _hand_on_forever(self) -> None:
        while True:
            time.sleep(self._period_s)
            try:
                self.hand_on()
            except Exception as error:  # else figures would pile up for as long as the process lives
                _log.error("Figures were lost: the meter behind ended with %s.", type(error).__name__)
