"""What a memory learned last, for people who watch it: bounded, in RAM, rebuilt in part from what is stored.

Outcomes are older than this process where their requests had ids: the table of first answers keeps them with every
head. Their texts come from the exemplars, as far as those were kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from memory_core.ids import MemoryName, Seq
from memory_core.insight_results import Activity, LearnedEvent
from memory_core.results import Exemplar, Observation, ObserveOutcome

EVENTS_MAX: Final = 512
TEXT_LENGTH_MAX: Final = 280
_MINUTE_S: Final = 60.0


class RecentEvents:
    """The last events of one memory, oldest first. Used under the state's lock."""

    def __init__(self) -> None:
        self._events: deque[LearnedEvent] = deque(maxlen=EVENTS_MAX)

    def add(self, observations: Sequence[Observation], outcomes: Sequence[ObserveOutcome], now: datetime) -> None:
        """One request that was learned; a refused one has no outcomes."""
        at = now.isoformat()
        for observation, outcome in zip(observations, outcomes, strict=False):
            exemplar = Exemplar(
                text=observation.text,
                seq=outcome.seq,
                domain=observation.domain,
                session=observation.session,
            )
            self._events.append(_event(outcome, exemplar, at))

    def keep_until(self, seq: Seq) -> None:
        """The memory went back to a position: what came after it is not its past any more."""
        self._events = deque((event for event in self._events if event.seq <= seq), maxlen=EVENTS_MAX)

    def forget_texts(self) -> None:
        """Something was forgotten: no text that might tell of it stays here."""
        blank = (replace(event, text=None, domain=None, session=None) for event in self._events)
        self._events = deque(blank, maxlen=EVENTS_MAX)

    def activity(
        self,
        memory: MemoryName,
        position: tuple[Seq, datetime],
        stored: tuple[Iterable[ObserveOutcome], Mapping[Seq, Exemplar]],
        limit: int,
    ) -> Activity:
        """The last ``limit`` events. position: of the state, and the time now; stored: older outcomes, exemplars."""
        seq, now = position
        outcomes, exemplars = stored
        known = {
            outcome.seq: _event(outcome, exemplars.get(outcome.seq), None) for outcome in outcomes if outcome.seq <= seq
        }
        known |= {event.seq: event for event in self._events}
        events = tuple(known[at] for at in sorted(known)[-limit:])
        return Activity(memory=memory, seq=seq, observations_per_minute=self._rate(now), events=events)

    def _rate(self, now: datetime) -> float:
        """Observations in the last minute; extrapolated when more came than are kept."""
        ages_s = [
            (now - datetime.fromisoformat(event.observed_at)).total_seconds()
            for event in self._events
            if event.observed_at
        ]
        recent_s = [age_s for age_s in ages_s if age_s < _MINUTE_S]
        if len(recent_s) < EVENTS_MAX:
            return float(len(recent_s))
        return len(recent_s) * _MINUTE_S / max(*recent_s, 1.0)


def _event(outcome: ObserveOutcome, exemplar: Exemplar | None, at: str | None) -> LearnedEvent:
    return LearnedEvent(
        seq=outcome.seq,
        surprise=outcome.surprise,
        weight_delta=outcome.weight_delta,
        learned=outcome.learned,
        patterns=outcome.patterns_activated,
        text=None if exemplar is None else exemplar.text[:TEXT_LENGTH_MAX],
        domain=None if exemplar is None else exemplar.domain,
        session=None if exemplar is None else exemplar.session,
        observed_at=at,
    )
