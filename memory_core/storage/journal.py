"""The ordered, durable record of observations since a head.

Each epoch writes its own folder, so records of two writers cannot interleave. A head names the runs that follow it:
the closed run of each earlier epoch up to the position its successor read, and the open run of its own epoch. What a
fenced writer still appended lies beyond the closed position and is never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memory_core.errors import CorruptData
from memory_core.ids import Epoch, Seq
from memory_core.storage import keys
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.records import Frames, JournalRecord, frame_size, pack_frame, split_frames, unpack_payload


@dataclass(frozen=True, slots=True)
class Run:
    """Positions first_seq..last_seq of one epoch's journal; an open run (None) goes on to its end."""

    epoch: Epoch
    first_segment: int
    first_seq: Seq
    last_seq: Seq | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Run:
        """Rebuild from ``to_dict``."""
        return cls(raw["epoch"], raw["first_segment"], raw["first_seq"], raw["last_seq"])


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Where reading goes on: a byte of a segment of an epoch, and the position that is expected there."""

    epoch: Epoch
    segment: int
    offset: int
    expected: Seq

    @classmethod
    def at_start(cls, run: Run) -> Cursor:
        """Before the first record of a run."""
        return cls(run.epoch, run.first_segment, 0, run.first_seq)


class Journal:
    """The writing side of one epoch. Used by one thread at a time."""

    def __init__(self, store: ObjectStore, uid: str, epoch: Epoch) -> None:
        self._store = store
        self._folder = keys.journal(uid, epoch)
        self._log = store.open_log(self._folder, 1)

    def append(self, records: Sequence[JournalRecord]) -> int:
        """Make the records durable as one frame; returns its bytes. After an error the journal is unusable."""
        frame = pack_frame(records)
        self._log.append(frame)
        return len(frame)

    def rotate(self) -> int:
        """Start a new segment and return its number; a head that names it covers everything before."""
        self._log.close()
        self._log = self._store.open_log(self._folder, self._log.next_segment)
        return self._log.next_segment

    def close(self) -> None:
        """Release the handle."""
        self._log.close()


def read_run(store: ObjectStore, uid: str, run: Run, end_segment: int | None = None) -> Iterator[list[JournalRecord]]:
    """The records of a run in order, in the groups that became durable together; those before ``end_segment``.

    Cuts a torn tail. CorruptData, naming the position, when a record is damaged or a position is missing.
    """
    for group, _ in read_on(store, uid, run, Cursor.at_start(run), end_segment):
        yield group


def read_on(
    store: ObjectStore, uid: str, run: Run, cursor: Cursor, end_segment: int | None = None
) -> Iterator[tuple[list[JournalRecord], Cursor]]:
    """As ``read_run``, from a cursor on; gives each group with the cursor behind it. What it gives is durable."""
    for segment in _segments(store, uid, run, cursor, end_segment):
        for group, behind in _read_segment(store, segment, run, cursor):
            yield group, behind
            cursor = behind
        if run.last_seq is not None and cursor.expected > run.last_seq:
            return
    if run.last_seq is not None and cursor.expected <= run.last_seq:
        raise _corrupt(keys.journal(uid, run.epoch), cursor.expected, "is missing")


def delete_segments_before(store: ObjectStore, uid: str, run: Run) -> None:
    """Delete what lies before the run: older epochs, and older segments of its epoch."""
    first_kept = f"{keys.journal(uid, run.epoch)}/{run.first_segment:010d}"
    for listed in store.list_objects(keys.journals(uid)):
        if listed.key >= first_kept:
            return
        store.delete(listed.key)


def _segments(
    store: ObjectStore, uid: str, run: Run, cursor: Cursor, end_segment: int | None
) -> Iterator[tuple[str, int, bool]]:
    """Keys and numbers of the run's segments with something unread, each with whether it is the last one."""
    folder = f"{keys.journal(uid, run.epoch)}/"
    listed = [(item, int(keys.last_part(item.key))) for item in store.list_objects(folder)]
    wanted = [
        (item, number)
        for item, number in listed
        if number >= cursor.segment and (end_segment is None or number < end_segment)
    ]
    for item, number in wanted:
        if number > cursor.segment or item.size_bytes > cursor.offset:
            yield item.key, number, number == wanted[-1][1]


def _read_segment(
    store: ObjectStore, segment: tuple[str, int, bool], run: Run, cursor: Cursor
) -> Iterator[tuple[list[JournalRecord], Cursor]]:
    key, number, is_last = segment
    offset, expected = cursor.offset if number == cursor.segment else 0, cursor.expected
    data = store.get(key)
    if run.last_seq is None and store.segments_grow:
        store.sync(key)
    frames = split_frames(data[offset:])
    damaged_at = offset + frames.damage_offset
    for payload, first_seq in zip(frames.payloads, frames.first_seqs, strict=True):
        if run.last_seq is not None and expected > run.last_seq:
            return
        if first_seq != expected:
            raise _corrupt(key, expected, f"is missing, {first_seq} follows")
        group = unpack_payload(payload)
        offset, expected = offset + frame_size(payload), Seq(group[-1].last_seq + 1)
        yield group, Cursor(run.epoch, number, offset, expected)
    if frames.damage is not None and not (is_last and _is_cut_allowed(store, frames, run, expected)):
        raise _corrupt(key, expected, f"cannot be read at byte {damaged_at}, {frames.damage}")


def _is_cut_allowed(store: ObjectStore, frames: Frames, run: Run, expected: Seq) -> bool:
    """A crash tears the end of a growing segment; a closed run is whole up to its last position."""
    if run.last_seq is not None:
        return expected > run.last_seq
    return frames.is_torn and store.segments_grow


def _corrupt(key: str, seq: Seq, what: str) -> CorruptData:
    return CorruptData(
        f"Journal record {seq} in {ascii(key)} {what}.",
        hint="Restore the object from a backup of the volume; nothing after this record was used.",
        key=key,
        seq=seq,
    )
