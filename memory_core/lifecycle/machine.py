"""One memory's life as a pure machine: an event in, the next effect out. No I/O, clock, threads or tensors.

::

    NEW --open--> OPENING --plan done--> SERVING --close--> CLOSING --plan done--> CLOSED
                     |                     |  ^                |
                     |        request: run its plan, one effect at a time
                     +-- newer epoch seen, at any effect --> FENCED
                     +-- an effect failed, result unknown --> FAILED

Each request has a plan, a fixed sequence of effects (``_PLANS`` below is the whole behaviour). An effect that failed
ends the plan: survivable ones return to SERVING, all others end the writer, whose successor recovers from storage.

A version that is due (see ``rhythm``) is added to the plan once its callers are answered, or is what is done when time
passed. Whoever performs effects tells the time; the machine knows no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from memory_core.errors import Internal
from memory_core.ids import PERIODIC_PREFIX, Epoch, Seq, Tag
from memory_core.lifecycle import effects as do
from memory_core.lifecycle import events as on
from memory_core.lifecycle.effects import COMPLETED_BY, SURVIVABLE, Effect, HeadKind
from memory_core.lifecycle.events import Event, Planned, Request
from memory_core.lifecycle.rhythm import CheckpointRhythm, Unsaved

_STORY_LENGTH: Final = 16


class Phase(StrEnum):
    """Where a writer is in its life."""

    NEW = "new"
    OPENING = "opening"
    SERVING = "serving"
    CLOSING = "closing"
    CLOSED = "closed"
    FENCED = "fenced"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLimits:
    """A journal longer than either is folded into a snapshot, so that a recovery stays short."""

    records: int = 2_000
    size_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """All that the machine knows.

    snapshot_seq <= applied_seq <= appended_seq: what the newest head reflects, what the state reflects, what is
    durable. plan: effects still to complete, the first one being performed. story: the last events, for errors.
    unsaved: what no version holds; tried: that, when one was last begun without anybody asking. begun: so many times.
    """

    limits: JournalLimits = JournalLimits()
    rhythm: CheckpointRhythm = CheckpointRhythm()
    phase: Phase = Phase.NEW
    epoch: Epoch | None = None
    snapshot_seq: Seq = Seq(0)
    applied_seq: Seq = Seq(0)
    appended_seq: Seq = Seq(0)
    journal_records: int = 0
    journal_bytes: int = 0
    unsaved: Unsaved = Unsaved()
    tried: Unsaved = Unsaved()
    begun: int = 0
    plan: tuple[Effect, ...] = ()
    story: tuple[str, ...] = ()

    @property
    def is_dirty(self) -> bool:
        """True when a recovery would have to replay."""
        return self.applied_seq > self.snapshot_seq

    @property
    def is_snapshot_due(self) -> bool:
        """True when the journal is over a limit."""
        return self.journal_records >= self.limits.records or self.journal_bytes >= self.limits.size_bytes

    @property
    def is_version_due(self) -> bool:
        """True when so much changed that a version is published without anybody asking."""
        return self.rhythm.is_due(self.unsaved, self.tried)


def step(life: Life, event: Event) -> tuple[Life, Effect | None]:
    """The life after the event, and the effect to perform now (None: nothing is under way)."""
    told = replace(life, story=(*life.story, type(event).__name__)[-_STORY_LENGTH:])
    if isinstance(event, on.NewerEpochSeen):
        after = replace(told, phase=Phase.FENCED, plan=())
    elif isinstance(event, on.EffectFailed):
        after = _fail(told)
    elif isinstance(event, Request):
        after = _start(told, event)
    else:
        after = _complete(told, event)
    validate(after)
    return after, after.plan[0] if after.plan else None


def validate(life: Life) -> None:
    """Raise Internal, with the last events, when an invariant does not hold."""
    is_busy = bool(life.plan)
    checks = {
        "snapshot_seq <= applied_seq <= appended_seq": life.snapshot_seq <= life.applied_seq <= life.appended_seq,
        "an ended life has no plan": not is_busy or life.phase in {Phase.OPENING, Phase.SERVING, Phase.CLOSING},
        "opening and closing have a plan": is_busy or life.phase not in {Phase.OPENING, Phase.CLOSING},
        "an idle writer applied all that is durable": (
            is_busy or life.phase is not Phase.SERVING or life.applied_seq == life.appended_seq
        ),
        "a serving writer has an epoch": life.phase is not Phase.SERVING or life.epoch is not None,
    }
    broken = [promise for promise, holds in checks.items() if not holds]
    if broken:
        raise _broken(life, f"broke its invariant: {broken[0]}")


def _start(life: Life, request: Request) -> Life:
    wanted = Phase.NEW if isinstance(request, on.OpenRequested) else Phase.SERVING
    if life.phase is not wanted or life.plan:
        raise _broken(life, f"got {type(request).__name__} while {'busy' if life.plan else life.phase}")
    if isinstance(request, on.TimePassed):
        return _look_at_clock(life, request.now_s)
    phase = {on.OpenRequested: Phase.OPENING, on.CloseRequested: Phase.CLOSING}.get(type(request), life.phase)
    return replace(life, phase=phase, plan=_plan(life, request))


def _plan(life: Life, request: Planned) -> tuple[Effect, ...]:
    match request:
        case on.OpenRequested():
            return (do.ClaimEpoch(), do.RecoverMemory(), *_publish(HeadKind.SEAL))
        case on.ObserveAccepted(first_seq, last_seq):
            if first_seq != life.appended_seq + 1 or last_seq < first_seq:
                raise _broken(life, f"got positions {first_seq}..{last_seq} after {life.appended_seq}")
            return (do.AppendFrame(first_seq, last_seq), do.VerifyEpoch(), do.ApplyGroup(), do.AnswerGroup())
        case on.CheckpointRequested(tag, include_momentum):
            return _version(tag, include_momentum=include_momentum)
        case on.CloseRequested(must_fold):
            return (*(_fold(life) if life.is_dirty and must_fold else ()), do.ReleaseJournal())
        case _:
            clean = do.PurgeStorage() if isinstance(request, on.ForgetRequested) else do.PruneStorage()
            is_own_version = isinstance(request, on.RestoreRequested) and request.source is None
            unsaved = Unsaved() if is_own_version else life.unsaved.grown(1)
            return (_candidate(request), *_publish(HeadKind.REPLACEMENT, unsaved), do.AdoptState(), clean)


def _publish(kind: HeadKind, unsaved: Unsaved = Unsaved()) -> tuple[Effect, ...]:
    return (do.PublishHead(kind, unsaved), do.VerifyEpoch())


def _fold(life: Life) -> tuple[Effect, ...]:
    return (*_publish(HeadKind.SNAPSHOT, life.unsaved), do.PruneStorage())


def _version(tag: Tag, *, include_momentum: bool = True) -> tuple[Effect, ...]:
    # The look before publishing keeps a fenced writer's tags out; the one after makes the answer true.
    write = (do.WriteCheckpoint(tag, include_momentum), do.VerifyEpoch(), do.PublishCheckpoint(tag))
    if not include_momentum:  # a recovery cannot start from it: it is not the whole state
        return (*write, do.VerifyEpoch())
    return (*write, *_publish(HeadKind.CHECKPOINT), do.PruneStorage())


def _begin_version(life: Life) -> Life:
    """Add a version that nobody asked for. Its tag is new whatever became of the ones before."""
    tag = Tag(f"{PERIODIC_PREFIX}{life.epoch}-{life.begun + 1}")
    plan = (*life.plan, *_version(tag), do.PruneVersions())
    return replace(life, plan=plan, begun=life.begun + 1, tried=life.unsaved)


def _look_at_clock(life: Life, now_s: float) -> Life:
    """A version when what no version holds has waited for too long; after a failed one the wait begins anew."""
    if not life.unsaved.count:
        return life
    noticed = replace(life, unsaved=replace(life.unsaved, since_s=now_s))
    if life.unsaved.since_s is None:
        return noticed
    return _begin_version(noticed) if life.rhythm.is_overdue(life.unsaved, now_s) else life


def _candidate(
    request: on.RestoreRequested | on.RollbackRequested | on.ConsolidateRequested | on.ForgetRequested,
) -> Effect:
    """What makes the state that will replace the current one."""
    match request:
        case on.RestoreRequested(tag, restore_momentum, source):
            return do.LoadCheckpoint(tag, restore_momentum, source)
        case on.RollbackRequested(seq):
            return do.ReplayTo(seq)
        case on.ConsolidateRequested():
            return do.ComputeConsolidation()
        case on.ForgetRequested():
            return do.ComputeForgetting()


def _complete(life: Life, event: on.Completion) -> Life:
    if not life.plan or not isinstance(event, COMPLETED_BY[type(life.plan[0])]):
        raise _broken(life, f"got {type(event).__name__} that no effect under way completes")
    after = _learn(replace(life, plan=life.plan[1:]), life.plan[0], event)
    return after if after.plan else _finish(after)


def _learn(life: Life, effect: Effect, event: on.Completion) -> Life:
    """Facts that a completed effect changes; a journal that grew too long adds to the plan."""
    match effect, event:
        case do.ClaimEpoch(), on.EpochClaimed(epoch):
            return replace(life, epoch=epoch)
        case do.RecoverMemory(), on.MemoryRecovered(snapshot_seq, seq, records, size_bytes, unsaved):
            seen = replace(life, snapshot_seq=snapshot_seq, applied_seq=seq, appended_seq=seq)
            journal = replace(seen, journal_records=records, journal_bytes=size_bytes)
            return _fold_if_due(replace(journal, unsaved=unsaved.grown(records, size_bytes)))
        case do.AppendFrame(_, last_seq), on.FrameAppended(size_bytes):
            count = last_seq - life.appended_seq
            return replace(
                life,
                appended_seq=last_seq,
                journal_records=life.journal_records + count,
                journal_bytes=life.journal_bytes + size_bytes,
                unsaved=life.unsaved.grown(count, size_bytes),
            )
        case do.ApplyGroup(), _:
            return replace(life, applied_seq=life.appended_seq)
        case do.AnswerGroup(), _:
            return _begin_version(life) if life.is_version_due else _fold_if_due(life)
        case do.PublishHead(), on.HeadPublished(snapshot_seq):
            return _learn_head(life, effect, snapshot_seq)
        case do.AdoptState(), on.StateAdopted(seq):
            moved = replace(life, snapshot_seq=seq, applied_seq=seq, appended_seq=seq)
            return replace(moved, journal_records=0, journal_bytes=0)
    return life


def _learn_head(life: Life, effect: do.PublishHead, snapshot_seq: Seq) -> Life:
    """A sealed head changes nothing; a replacement counts once it is adopted."""
    if effect.kind is HeadKind.SEAL:
        return life
    told = replace(life, unsaved=effect.unsaved, tried=life.tried if effect.unsaved.count else Unsaved())
    if effect.kind is HeadKind.REPLACEMENT:
        return told
    return replace(told, snapshot_seq=snapshot_seq, journal_records=0, journal_bytes=0)


def _fold_if_due(life: Life) -> Life:
    if not life.is_snapshot_due:
        return life
    return replace(life, plan=(*life.plan, *_fold(life)))


def _finish(life: Life) -> Life:
    return replace(life, phase=Phase.CLOSED if life.phase is Phase.CLOSING else Phase.SERVING)


def _fail(life: Life) -> Life:
    if not life.plan:
        raise _broken(life, "got EffectFailed with no effect under way")
    if type(life.plan[0]) not in SURVIVABLE:
        return replace(life, phase=Phase.FAILED, plan=())
    rest = life.plan[1:] if isinstance(life.plan[0], do.PruneStorage | do.PruneVersions) else ()
    return replace(life, plan=rest) if rest else _finish(replace(life, plan=()))


def _broken(life: Life, what: str) -> Internal:
    return Internal(
        f"The memory's lifecycle {what}.",
        code="LIFECYCLE",
        hint="Report this with the story.",
        phase=life.phase.value,
        story=" ".join(life.story),
    )
