"""A memory's day as a list of steps, a process that dies at a chosen instant of it, and the check of what is left.

Instants are the boundaries of lifecycle effects and of storage calls, counted from 1 while the scenario runs; half a
journal frame is an instant too. What the dying process was acknowledged it wrote to a log first, so the check knows
what must be there. ``run_and_die`` is importable by name, so any start method of multiprocessing can run it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch

from memory_core.errors import Conflict, NeuralMemoryError
from memory_core.ids import MemoryName, RequestId, Seq, Tag
from memory_core.lifecycle.machine import JournalLimits
from memory_core.results import ForgetSelection, ObserveOptions
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.open_store import open_store
from memory_core.testing.faulty_store import FaultyStore, Operation
from memory_core.testing.small_memory import tiny_config, tiny_observations, tiny_text
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME: Final = MemoryName("crash")
FORK: Final = MemoryName("crash-fork")
LIMITS: Final = JournalLimits(records=5)


@dataclass(frozen=True, slots=True)
class Step:
    """One request to the writer."""

    label: str
    perform: Callable[[MemoryWriter], object]


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one state of the memory from another."""

    seq: int
    observation_count: int
    weight_hash: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was broken."""

    kind: Literal["lost", "doubled", "corrupt"]
    text: str


def _observe(request_id: str, *texts: str) -> Step:
    options = ObserveOptions(request_id=RequestId(request_id))
    return Step(f"observe {request_id}", lambda writer: writer.observe(tiny_observations(*texts), options))


def _checkpoint(tag: str) -> Step:
    return Step(f"checkpoint {tag}", lambda writer: writer.checkpoint(Tag(tag)))


def _restore(tag: str) -> Step:
    return Step(f"restore {tag}", lambda writer: writer.restore(Tag(tag)))


def _rollback(seq: int) -> Step:
    return Step(f"rollback {seq}", lambda writer: writer.rollback(Seq(seq)))


def _forget(subject: str) -> Step:
    def perform(writer: MemoryWriter) -> object:
        selection = ForgetSelection(subject=subject)
        return writer.forget(selection, [tiny_text(text) for text in writer.texts_to_forget(selection)])

    return Step(f"forget {subject}", perform)


SCENARIO: Final[tuple[Step, ...]] = (
    _observe("a", "The bakery on Mill Lane opens at six.", "Its owner is called Ruth."),
    _observe("b", "The ferry to Hvar takes two hours."),
    _checkpoint("v1"),
    _observe("c", "Basalt cools faster than granite."),
    _observe("d", "The archive moved to the third floor.", "Its door code changed in May.", "Ask Jun for it."),
    _observe("e", "A sloth sleeps fifteen hours a day."),
    _restore("v1"),
    _observe("f", "The spare key hangs behind the clock."),
    Step("consolidate", lambda writer: writer.consolidate()),
    _forget("the spare key"),
    _observe("g", "Rain is forecast for the weekend."),
    _observe("h", "The piano tuner comes on Monday.", "He is called Ivo."),
    _rollback(5),
    Step("checkpoint v1.5", lambda writer: writer.checkpoint(Tag("v1.5"), include_momentum=False)),
    Step("fork", lambda writer: writer.fork(Tag("v1"), FORK)),
    _checkpoint("v2"),
    _observe("i", "The tailor needs the jacket until Friday."),
    Step("close", lambda writer: writer.close()),
)


def mark_of(writer: MemoryWriter) -> Mark:
    """The state a writer serves."""
    stats = writer.stats()
    return Mark(stats.seq, stats.observation_count, stats.weight_hash)


def model_marks(store: ObjectStore) -> list[Mark]:
    """The state before the first step and after each, without any fault."""
    Volume(store).create(NAME, tiny_config())
    writer = MemoryWriter.open(store, NAME, WriterSettings(limits=LIMITS))
    marks = [mark_of(writer)]
    for step in SCENARIO:
        step.perform(writer)
        marks.append(mark_of(writer) if writer.is_usable else marks[-1])
    return marks


class Instants:
    """Counts instants and ends the process at one of them, with SIGKILL: nothing is flushed or said goodbye."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def pass_by(self, _: object = None) -> None:
        """One instant."""
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def tear(self, _: Operation) -> int | None:
        """One more instant for each append: the process dies when only part of the frame was written."""
        self.count += 1
        if self.count != self._last:
            return None
        self._last += 1
        return 37


def run_and_die(url: str, options: dict[str, Any], last_instant: int, log_path: str) -> None:
    """Run the scenario on a created memory; each acknowledged step is a line of the log. The last line is the count."""
    torch.set_num_threads(1)
    instants = Instants(last_instant)
    store = FaultyStore(open_store(url, **options), instants.pass_by, instants.tear)
    with Path(log_path).open("a", encoding="utf-8", buffering=1) as log:
        settings = WriterSettings(limits=LIMITS, on_effect=instants.pass_by)
        writer = MemoryWriter.open(store, NAME, settings)
        for step in SCENARIO:
            step.perform(writer)
            log.write(f"{step.label}\n")
        log.write(f"instants {instants.count}\n")


def check_recovery(store: ObjectStore, marks: Sequence[Mark], acknowledged: int) -> Finding | None:
    """What is wrong after a death that followed ``acknowledged`` steps; None when every promise was kept.

    The recovered state is that of the acknowledged steps, or with the step under way; that step and the rest can then
    be done and lead to the same end as without a death.
    """
    try:
        return _check_recovered(store, marks, acknowledged) or _check_end(store, marks)
    except NeuralMemoryError as error:
        return Finding("corrupt", f"recovery after {acknowledged} steps failed: {error}")


def _check_recovered(store: ObjectStore, marks: Sequence[Mark], acknowledged: int) -> Finding | None:
    """The state that the next writer finds; it then does the steps that are left."""
    writer = MemoryWriter.open(store, NAME, WriterSettings(limits=LIMITS))
    found = mark_of(writer)
    if found not in marks[acknowledged : acknowledged + 2]:
        writer.close(must_fold=False)
        return _finding(found, marks[acknowledged : acknowledged + 2])
    is_done = found != marks[acknowledged]
    for step in SCENARIO[acknowledged + is_done :]:
        try:
            step.perform(writer)
        except Conflict as conflict:
            if conflict.code not in {"CHECKPOINT_EXISTS", "MEMORY_EXISTS"}:
                raise
    return None


def _check_end(store: ObjectStore, marks: Sequence[Mark]) -> Finding | None:
    """The memory after its day, its versions and its fork, each read from storage anew."""
    reopened = MemoryWriter.open(store, NAME, WriterSettings(limits=LIMITS))
    end, tags = mark_of(reopened), reopened.stats().checkpoint_tags
    reopened.close()
    if end != marks[-1]:
        return _finding(end, marks[-1:])
    if tags != ("v1", "v1.5", "v2"):
        return Finding("lost", f"the versions are {tags}, not v1, v1.5 and v2")
    fork = MemoryWriter.open(store, FORK)
    origin = marks[1 + [step.label for step in SCENARIO].index("checkpoint v1")]
    forked = mark_of(fork)
    fork.close()
    return None if forked == origin else _finding(forked, [origin])


def _finding(found: Mark, allowed: Sequence[Mark]) -> Finding:
    """Fewer observations than any allowed state are lost ones, more are doubled ones, as many are wrong ones."""
    counts = [mark.observation_count for mark in allowed]
    is_fewer, is_more = found.observation_count < min(counts), found.observation_count > max(counts)
    return Finding("lost" if is_fewer else "doubled" if is_more else "corrupt", f"found {found}, expected {allowed}")
