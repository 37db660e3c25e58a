"""Figures, log lines and spans of the calls to a host. Ray-free."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind

from cluster import host_meter as figures
from cluster.call_context import CallContext, span
from cluster.host_meter import Meter
from cluster.resident import Resident, Tenant
from memory_core.errors import NeuralMemoryError
from memory_core.results import ObserveResult

if TYPE_CHECKING:
    from memory_core.lifecycle.effects import Effect

_GAUGES_EVERY_S: Final = 1.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """A call under way; whoever serves it says what came of it."""

    resident: Resident | None = None
    result: object = None


class HostWatch:
    """Watches the calls of one host."""

    def __init__(self, meter: Meter, residents: Callable[[], list[Resident]]) -> None:
        self._meter = meter
        self._residents = residents
        self._gauges_at_s = 0.0

    @contextmanager
    def call(self, tenant: Tenant, door: str, method: str, context: CallContext | None) -> Iterator[Watched]:
        """Around one call."""
        context = context or CallContext()
        began_s, watched = time.perf_counter(), Watched()
        about: dict[str, Any] = {"memory": tenant.name, "request_id": context.request_id}
        with span(f"memory.{method}", dict(context.trace), SpanKind.SERVER, **about) as running:
            about["trace_id"] = f"{running.get_span_context().trace_id:032x}" if running.is_recording() else ""
            try:
                yield watched
            except NeuralMemoryError as error:
                self._meter.add(figures.FAILURES, code=error.code)
                _log.warning("%s failed", method, extra={**about, "code": error.code})
                raise
            seconds = time.perf_counter() - began_s
            self._meter.add(figures.STAGE_SECONDS, seconds, stage=door)
            about |= self._told(watched)
            running.set_attributes({key: value for key, value in about.items() if value not in {None, ""}})
            level = logging.INFO if door == "write" else logging.DEBUG
            _log.log(level, method, extra={**about, "ms": round(seconds * 1000, 3)})

    def opened(self, seconds: float) -> None:
        """A memory was claimed and recovered."""
        self._meter.add(figures.EPOCH_CHANGES)
        self._meter.add(figures.STAGE_SECONDS, seconds, stage="open")

    def passivated(self) -> None:
        """A memory leaves."""
        self._meter.add(figures.PASSIVATIONS)

    def performed(self, effect: Effect, seconds: float) -> None:
        """A writer performed an effect of its lifecycle."""
        stage = type(effect).__name__
        self._meter.add(figures.STAGE_SECONDS, seconds, stage=stage)
        if stage == "RecoverMemory":
            self._meter.add(figures.REPLAY_SECONDS, seconds)

    def gauge(self) -> None:
        """Say what is held now, at most once a second."""
        now_s = time.monotonic()
        if now_s - self._gauges_at_s < _GAUGES_EVERY_S:
            return
        self._gauges_at_s = now_s
        residents = self._residents()
        self._meter.add(figures.RESIDENTS, len(residents))
        self._meter.add(figures.STATE_BYTES, sum(one.size_bytes for one in residents))
        self._meter.add(figures.JOURNAL_LAG, sum(one.journal_lag for one in residents))
        self._meter.add(figures.CAPACITY, max((one.capacity_used for one in residents), default=0.0))

    def _told(self, watched: Watched) -> dict[str, Any]:
        resident, result = watched.resident, watched.result
        told: dict[str, Any] = {} if resident is None else {"epoch": resident.epoch, "seq": resident.seq}
        if isinstance(result, ObserveResult):
            if resident is not None:
                resident.capacity_used = result.capacity_used
            if not result.is_replayed_answer:
                self._meter.add(figures.OBSERVATIONS, len(result.outcomes))
                for outcome in result.outcomes:
                    self._meter.add(figures.SURPRISE, outcome.surprise)
            told["seq"] = result.outcomes[-1].seq if result.outcomes else told.get("seq")
        self.gauge()
        return told
