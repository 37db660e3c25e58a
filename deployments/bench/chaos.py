"""Chaos: eight clients learn and ask over HTTP while processes of the service are killed at random.

The model counts: every acknowledged observation has a position of its own, and the memories hold as many as were
acknowledged. A request whose answer was lost is sent again with its own id until it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from memory_core.backend import MemoryBackend
from memory_core.errors import Internal, NeuralMemoryError
from memory_core.ids import MemoryName, RequestId, Seq
from memory_core.results import InferOptions, Observation, ObserveOptions

CLIENTS: Final = 8
_UNEVENNESS: Final = 0.4
_ASK_SHARE: Final = 0.4
_SETTLE_S: Final = 180.0
_PAUSE_S: Final = 0.05

Advance = Callable[[int], None]


class Victims(Protocol):
    """Processes that may be killed."""

    def pids(self, kind: str) -> Sequence[int]:
        """Those of a kind that run now."""
        ...

    def mend(self, kind: str) -> None:
        """After one was killed: bring back what nobody else does."""
        ...


@dataclass(slots=True)
class Model:
    """What clients were told.

    positions: of each acknowledged observation, by memory. waits_s: when each acknowledgement was first asked for and
    how long that took. kills: when, and what kind.
    """

    positions: dict[MemoryName, list[Seq]]
    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    untyped: Counter[str] = field(default_factory=Counter)
    waits_s: list[tuple[float, float]] = field(default_factory=list)
    kills: list[tuple[float, str]] = field(default_factory=list)

    def killed(self) -> dict[str, int]:
        """How many of each kind."""
        return dict(Counter(kind for _, kind in self.kills))

    def waited_s(self) -> dict[str, float]:
        """The longest wait for an acknowledgement after a kill of each kind, before the next kill or during both."""
        longest: dict[str, float] = {}
        ends_s = [*(at_s for at_s, _ in self.kills[1:]), math.inf]
        for (at_s, kind), next_s in zip(self.kills, ends_s, strict=True):
            touched = [took_s for began_s, took_s in self.waits_s if began_s < next_s and began_s + took_s > at_s]
            longest[kind] = max([longest.get(kind, 0.0), *touched])
        return longest

    def failed(self, error: Exception) -> None:
        """A caller got an error."""
        is_typed = isinstance(error, NeuralMemoryError) and not isinstance(error, Internal)
        self.failures[getattr(error, "code", type(error).__name__)] += 1
        if not is_typed:
            self.untyped[getattr(error, "code", type(error).__name__)] += 1


async def run_chaos(
    clients: Sequence[MemoryBackend], names: Sequence[MemoryName], victims: Victims, plan: ChaosPlan, advance: Advance
) -> tuple[dict[str, float], Model]:
    """Figures and what happened. ``clients``: one connection for each."""
    model = Model(positions={name: [] for name in names})
    until_s = time.monotonic() + plan.seconds
    load = [
        _client(client, number, model, random.Random(plan.seed * 1000 + number), until_s, advance)
        for number, client in enumerate(clients)
    ]
    await asyncio.gather(_killer(model, victims, plan, until_s), *load)
    counts = {name: (await _until_answered(clients[0], name)) for name in names}
    return _figures(model, counts), model


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosPlan:
    """How long, which random numbers, kinds of processes to kill; one every so many seconds, two fifths up or down."""

    seconds: float
    seed: int
    kinds: tuple[str, ...]
    kill_every_s: float

    def pauses_and_kinds(self) -> Iterator[tuple[float, str]]:
        """How long to wait and what to kill then: every kind once, in an order that is drawn, and again."""
        draw = random.Random(self.seed)
        while True:
            for kind in draw.sample(self.kinds, len(self.kinds)):
                yield self.kill_every_s * draw.uniform(1 - _UNEVENNESS, 1 + _UNEVENNESS), kind


async def _client(
    service: MemoryBackend, number: int, model: Model, draw: random.Random, until_s: float, advance: Advance
) -> None:
    sent = 0
    while time.monotonic() < until_s:
        name = draw.choice(list(model.positions))
        if draw.random() < _ASK_SHARE:
            await _ask(service, name, model)
        else:
            sent += 1
            await _observe(service, name, f"Client {number} says that item {sent} is {draw.random():.6f}.", model)
        advance(1)


async def _ask(service: MemoryBackend, name: MemoryName, model: Model) -> None:
    model.calls += 1
    try:
        await service.infer(name, "What did the client say?", InferOptions())
    except Exception as error:
        model.failed(error)


async def _observe(service: MemoryBackend, name: MemoryName, text: str, model: Model) -> None:
    """Until it is acknowledged."""
    options = ObserveOptions(request_id=RequestId(hashlib.sha256(text.encode()).hexdigest()[:24]))
    began_s = time.monotonic()
    while True:
        model.calls += 1
        try:
            result = await service.observe(name, [Observation(text=text)], options)
        except Exception as error:
            model.failed(error)
            if time.monotonic() - began_s > _SETTLE_S:
                raise
            await asyncio.sleep(_PAUSE_S)
        else:
            model.positions[name].append(result.outcomes[0].seq)
            model.waits_s.append((began_s, time.monotonic() - began_s))
            return


async def _killer(model: Model, victims: Victims, plan: ChaosPlan, until_s: float) -> None:
    draw = random.Random(plan.seed)
    for pause_s, kind in plan.pauses_and_kinds():
        await asyncio.sleep(pause_s)
        if time.monotonic() > until_s:
            return
        pids = await asyncio.to_thread(victims.pids, kind)
        if not pids:
            continue
        os.kill(draw.choice(sorted(pids)), signal.SIGKILL)
        model.kills.append((time.monotonic(), kind))
        await asyncio.to_thread(victims.mend, kind)


async def _until_answered(service: MemoryBackend, name: MemoryName) -> int:
    give_up_at_s = time.monotonic() + _SETTLE_S
    while True:
        try:
            return (await service.stats(name)).observation_count
        except NeuralMemoryError:
            if time.monotonic() > give_up_at_s:
                raise
            await asyncio.sleep(_PAUSE_S)


def _figures(model: Model, counts: dict[MemoryName, int]) -> dict[str, float]:
    lost = doubled = 0
    for name, positions in model.positions.items():
        distinct = len(set(positions))
        # Two acknowledgements of one position: what the first of them was given for is gone.
        lost += len(positions) - distinct + max(0, distinct - counts[name])
        doubled += max(0, counts[name] - distinct)
    return {
        "acknowledged": sum(map(len, model.positions.values())),
        "lost": lost,
        "doubled": doubled,
        "untyped_errors": sum(model.untyped.values()),
        "recover_s_max": max((took_s for _, took_s in model.waits_s), default=0.0),
        "availability": 1 - sum(model.failures.values()) / max(model.calls, 1),
        "killed": len(model.kills),
    }
