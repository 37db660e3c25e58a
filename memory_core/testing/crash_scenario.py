"""A memory's day as a list of steps, a process that dies at a chosen instant of it, and the check of what is left.

The day holds whatever writes: learning, versions that are asked for and versions that are due, going back, leaving out,
forks, archives, deleting and cleaning up.

Instants are the boundaries of lifecycle effects and of storage calls, counted from 1 while the scenario runs; half a
journal frame is an instant too. What the dying process was acknowledged it wrote to a log first, so the check knows
what must be there. ``run_and_die`` is importable by name, so any start method of multiprocessing can run it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import torch

from memory_core.errors import Conflict, NeuralMemoryError, NotFound
from memory_core.ids import PERIODIC_PREFIX, MemoryName, RequestId, Seq, Tag
from memory_core.lifecycle.machine import JournalLimits
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.owned_memory import utc_now
from memory_core.results import ForgetSelection, ObserveOptions
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.open_store import open_store
from memory_core.storage_results import RetentionPolicy
from memory_core.testing.faulty_store import FaultyStore, Operation
from memory_core.testing.small_memory import tiny_config, tiny_observations, tiny_text
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME: Final = MemoryName("crash")
FORK: Final = MemoryName("crash-fork")
TWIN: Final = MemoryName("crash-twin")
SETTINGS: Final = WriterSettings(
    limits=JournalLimits(records=5),
    rhythm=CheckpointRhythm(every_observations=4, every_s=60.0),
    retention=RetentionPolicy(keep_last=1),
)
_LATER: Final = datetime(2100, 1, 1, tzinfo=UTC)
# A step whose first attempt had arrived before the process died finds its own work.
DONE_ALREADY: Final = frozenset({"CHECKPOINT_EXISTS", "MEMORY_EXISTS", "CHECKPOINT_NOT_FOUND"})


@dataclass(frozen=True, slots=True)
class Step:
    """One request to the writer, or to its volume."""

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


def _on_volume(label: str, perform: Callable[[Volume], object]) -> Step:
    return Step(label, lambda writer: perform(Volume(writer.store)))


def _carry(writer: MemoryWriter) -> object:
    """Out to an archive, and in again under another name."""
    volume, head = Volume(writer.store), writer.export_head()
    for member in head.files:
        volume.import_member(member, writer.export_member(head, member))
    return volume.import_memory(TWIN, head)


def _wait_long(writer: MemoryWriter) -> None:
    """What no version holds is noticed, and a century later still waits."""
    writer.keep_time(utc_now())
    writer.keep_time(_LATER)


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
    Step("export and import", _carry),
    _on_volume("delete v1", lambda volume: volume.delete_checkpoint(NAME, Tag("v1"))),
    _on_volume("collect garbage", lambda volume: volume.collect_garbage(0.0, is_dry_run=False)),
    _checkpoint("v2"),
    _observe("i", "The tailor needs the jacket until Friday."),
    Step("a version by time", _wait_long),
    _on_volume("prune", lambda volume: volume.prune(NAME, RetentionPolicy(keep_last=0), is_dry_run=False)),
    _on_volume("collect garbage again", lambda volume: volume.collect_garbage(0.0, is_dry_run=False)),
    _observe("j", "The chess club meets on Thursdays."),
    Step("close", lambda writer: writer.close()),
)


def mark_of(writer: MemoryWriter) -> Mark:
    """The state a writer serves."""
    stats = writer.stats()
    return Mark(stats.seq, stats.observation_count, stats.weight_hash)


def model_marks(store: ObjectStore) -> list[Mark]:
    """The state before the first step and after each, without any fault."""
    Volume(store).create(NAME, tiny_config())
    writer = MemoryWriter.open(store, NAME, SETTINGS)
    marks = [mark_of(writer)]
    for step in SCENARIO:
        step.perform(writer)
        marks.append(mark_of(writer) if writer.is_usable else marks[-1])
    return marks


class Instants:
    """Counts instants and ends the process at one of them, with SIGKILL: nothing is flushed or said goodbye."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self.is_counting = True
        self._last = last

    def pass_by(self, _: object = None) -> None:
        """One instant."""
        self.count += self.is_counting
        if self.is_counting and self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def tear(self, _: Operation) -> int | None:
        """One more instant for each append: the process dies when only part of the frame was written."""
        self.count += self.is_counting
        if not self.is_counting or self.count != self._last:
            return None
        self._last += 1
        return 37


def run_and_die(
    url: str, options: dict[str, Any], last_instant: int, log_path: str, steps: range = range(len(SCENARIO))
) -> None:
    """Do steps of the day; each that is acknowledged is a line of the log. The last line is the count of instants.

    Opening the memory is part of the first step of the day only.
    """
    torch.set_num_threads(1)
    instants = Instants(last_instant)
    instants.is_counting = steps.start == 0
    store = FaultyStore(open_store(url, **options), instants.pass_by, instants.tear)
    with Path(log_path).open("a", encoding="utf-8", buffering=1) as log:
        writer = MemoryWriter.open(store, NAME, replace(SETTINGS, on_effect=instants.pass_by))
        instants.is_counting = True
        for number in steps:
            SCENARIO[number].perform(writer)
            log.write(f"{SCENARIO[number].label}\n")
        log.write(f"instants {instants.count}\n")


def check_recovery(
    store: ObjectStore, marks: Sequence[Mark], acknowledged: int, end: int = len(SCENARIO)
) -> Finding | None:
    """What is wrong after a death that followed ``acknowledged`` steps; None when every promise was kept.

    The recovered state is that of the acknowledged steps, or with the step under way; that step and those before
    ``end`` can then be done and lead to the same state as without a death.
    """
    try:
        found = _check_recovered(store, marks, acknowledged, end)
        return found or (_check_end(store, marks) if end == len(SCENARIO) else _check_state(store, marks[end]))
    except NeuralMemoryError as error:
        return Finding("corrupt", f"recovery after {acknowledged} steps failed: {error}")


def _check_recovered(store: ObjectStore, marks: Sequence[Mark], acknowledged: int, end: int) -> Finding | None:
    """The state that the next writer finds; it then does the steps that are left."""
    writer = MemoryWriter.open(store, NAME, SETTINGS)
    found = mark_of(writer)
    if found not in marks[acknowledged : acknowledged + 2]:
        writer.close(must_fold=False)
        return _finding(found, marks[acknowledged : acknowledged + 2])
    is_done = found != marks[acknowledged]
    for step in SCENARIO[acknowledged + is_done : end]:
        try:
            step.perform(writer)
        except (Conflict, NotFound) as error:
            if error.code not in DONE_ALREADY:
                raise
    return None


def _check_state(store: ObjectStore, expected: Mark) -> Finding | None:
    """The memory in the middle of its day, read from storage anew."""
    writer = MemoryWriter.open(store, NAME, SETTINGS)
    found = mark_of(writer)
    writer.close(must_fold=False)
    return _finding(found, [expected]) if found != expected else _check_bytes(store)


def _check_end(store: ObjectStore, marks: Sequence[Mark]) -> Finding | None:
    """The memory after its day, its versions, its fork and its twin, each read from storage anew."""
    reopened = MemoryWriter.open(store, NAME, SETTINGS)
    end, every = mark_of(reopened), reopened.stats().checkpoint_tags
    reopened.close()
    if end != marks[-1]:
        return _finding(end, marks[-1:])
    tags = tuple(tag for tag in every if not tag.startswith(PERIODIC_PREFIX))
    if tags != ("v1.5", "v2"):
        return Finding("lost", f"the versions are {tags}, not v1.5 and v2")
    return _check_relatives(store, marks) or _check_bytes(store)


def _check_relatives(store: ObjectStore, marks: Sequence[Mark]) -> Finding | None:
    labels = [step.label for step in SCENARIO]
    for name, made_from in ((FORK, "checkpoint v1"), (TWIN, "export and import")):
        writer = MemoryWriter.open(store, name)
        origin, found = marks[1 + labels.index(made_from)], mark_of(writer)
        writer.close()
        if found != origin:
            return _finding(found, [origin])
    return None


def _check_bytes(store: ObjectStore) -> Finding | None:
    """Every object that is reached is whole, versions that were published by themselves among them."""
    volume = Volume(store)
    names = [info.name for info in volume.list_memories(limit=100).memories]
    damages = [damage for name in (*names, None) for damage in volume.verify(name).damages]
    return Finding("corrupt", f"damaged: {damages}") if damages else None


def _finding(found: Mark, allowed: Sequence[Mark]) -> Finding:
    """Fewer observations than any allowed state are lost ones, more are doubled ones, as many are wrong ones."""
    counts = [mark.observation_count for mark in allowed]
    is_fewer, is_more = found.observation_count < min(counts), found.observation_count > max(counts)
    return Finding("lost" if is_fewer else "doubled" if is_more else "corrupt", f"found {found}, expected {allowed}")
