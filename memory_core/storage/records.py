"""Journal records as bytes. docs/checkpoint-format.md has the same layout in a table.

A frame is one group commit: the records that became durable with one sync. A crash can only leave the last frame
of a log unfinished, so damage is a torn tail when the last frame is short, or when a sector of it reads as zeros
(blocks the disk never wrote); everything else is corruption and is refused, even in the last frame.

    frame    magic 'NMJ1' | payload size u32 | first seq u64 | crc32 of these u32 | payload | crc32 u32 | '1JMN'
    payload  per record: head size u32 | keys size u32 | head (JSON) | keys (float32, row-major)

All numbers are little-endian. The keys are stored so that a replay needs no encoder.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from memory_core.ids import RequestId, Seq
from memory_core.results import EncodedObservation, EncodedText, Observation
from memory_core.storage.documents import canonical_json

_HEADER: Final = struct.Struct("<4sIQ")
_CHECK: Final = struct.Struct("<I")
_TRAILER: Final = struct.Struct("<I4s")
_SIZES: Final = struct.Struct("<II")
_MAGIC: Final = b"NMJ1"
_END_MAGIC: Final = b"1JMN"
_HEADER_BYTES: Final = _HEADER.size + _CHECK.size
_SECTOR_BYTES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One accepted observe request. Its observations have the positions first_seq..last_seq.

    A record without observations takes no position; it says that the request at ``skipped_seq`` broke the learning
    step, was answered with an error, and is never applied again, or that the group which begins at ``singly_seq`` is
    learned one by one.
    """

    first_seq: Seq
    request_id: RequestId | None = None
    learning_rate: float | None = None
    observations: tuple[EncodedObservation, ...] = ()
    skipped_seq: Seq | None = None
    singly_seq: Seq | None = None

    @property
    def last_seq(self) -> Seq:
        """Position of the last observation; first_seq - 1 without one."""
        return Seq(self.first_seq + len(self.observations) - 1)


@dataclass(frozen=True, slots=True)
class Frames:
    """What a segment holds. ``damage`` says what is wrong at ``damage_offset``; ``is_torn`` if a crash explains it."""

    payloads: tuple[bytes, ...]
    first_seqs: tuple[Seq, ...]
    damage: str | None = None
    damage_offset: int = 0
    is_torn: bool = False


def pack_frame(records: Sequence[JournalRecord]) -> bytes:
    """One frame of at least one record."""
    payload = b"".join(map(_pack_record, records))
    header = _HEADER.pack(_MAGIC, len(payload), records[0].first_seq)
    trailer = _TRAILER.pack(zlib.crc32(payload), _END_MAGIC)
    return b"".join((header, _CHECK.pack(zlib.crc32(header)), payload, trailer))


def frame_size(payload: bytes) -> int:
    """Bytes of the frame around a payload."""
    return _HEADER_BYTES + len(payload) + _TRAILER.size


def split_frames(data: bytes) -> Frames:
    """Cut a segment into checked payloads, up to the first damage."""
    payloads: list[bytes] = []
    first_seqs: list[Seq] = []
    offset = 0
    while offset < len(data):
        end, damage = _check_frame(data, offset)
        if damage is not None:
            is_torn = end >= len(data) and (end > len(data) or _has_unwritten_sector(data, offset))
            return Frames(tuple(payloads), tuple(first_seqs), damage, offset, is_torn)
        _, _, first_seq = _HEADER.unpack_from(data, offset)
        payloads.append(data[offset + _HEADER_BYTES : end - _TRAILER.size])
        first_seqs.append(Seq(first_seq))
        offset = end
    return Frames(tuple(payloads), tuple(first_seqs))


def unpack_payload(payload: bytes) -> list[JournalRecord]:
    """The records of a checked payload."""
    records = []
    offset = 0
    while offset < len(payload):
        head_size, keys_size = _SIZES.unpack_from(payload, offset)
        head_at = offset + _SIZES.size
        offset = head_at + head_size + keys_size
        records.append(_unpack_record(payload[head_at : head_at + head_size], payload[head_at + head_size : offset]))
    return records


def observation_to_dict(observation: Observation) -> dict[str, Any]:
    """Plain values for JSON."""
    return asdict(observation)


def _check_frame(data: bytes, offset: int) -> tuple[int, str | None]:
    """Where the frame ends (beyond the data when it is short) and what is wrong with it."""
    body_at = offset + _HEADER_BYTES
    if body_at > len(data):
        return len(data) + 1, "the frame header is short"
    magic, size, _ = _HEADER.unpack_from(data, offset)
    (check,) = _CHECK.unpack_from(data, offset + _HEADER.size)
    if magic != _MAGIC or check != zlib.crc32(data[offset : offset + _HEADER.size]):
        # The size cannot be trusted: it is the last frame unless another one can be seen behind it.
        return (offset if _has_later_frame(data, offset + 1) else len(data)), "the frame header is damaged"
    end = body_at + size + _TRAILER.size
    if end > len(data):
        return end, "the frame is short"
    crc, end_magic = _TRAILER.unpack_from(data, end - _TRAILER.size)
    if end_magic != _END_MAGIC or crc != zlib.crc32(memoryview(data)[body_at : body_at + size]):
        return end, "the frame does not match its checksum"
    return end, None


def _has_later_frame(data: bytes, start: int) -> bool:
    while (at := data.find(_MAGIC, start)) >= 0:
        if at + _HEADER_BYTES <= len(data):
            (check,) = _CHECK.unpack_from(data, at + _HEADER.size)
            if check == zlib.crc32(data[at : at + _HEADER.size]):
                return True
        start = at + 1
    return False


def _has_unwritten_sector(data: bytes, offset: int) -> bool:
    while offset < len(data):
        end = min(len(data), (offset // _SECTOR_BYTES + 1) * _SECTOR_BYTES)
        if not any(data[offset:end]):
            return True
        offset = end
    return False


def _pack_record(record: JournalRecord) -> bytes:
    head = canonical_json(
        {
            "first_seq": record.first_seq,
            "request_id": record.request_id,
            "learning_rate": record.learning_rate,
            "skipped_seq": record.skipped_seq,
            "singly_seq": record.singly_seq,
            "key_dim": record.observations[0].encoded.keys_SD.shape[1] if record.observations else 1,
            "observations": [
                {**observation_to_dict(item.observation), "spans": item.encoded.spans} for item in record.observations
            ],
        }
    )
    keys = b"".join(item.encoded.keys_SD.astype("<f4", copy=False).tobytes() for item in record.observations)
    return _SIZES.pack(len(head), len(keys)) + head + keys


def _unpack_record(head: bytes, keys: bytes) -> JournalRecord:
    raw = json.loads(head)
    keys_ND = np.frombuffer(keys, dtype="<f4").astype(np.float32).reshape(-1, raw["key_dim"])
    observations = []
    row = 0
    for item in raw["observations"]:
        spans = tuple((start, end) for start, end in item.pop("spans"))
        encoded = EncodedText(text=item["text"], spans=spans, keys_SD=keys_ND[row : row + len(spans)].copy())
        observations.append(EncodedObservation(observation=Observation(**item), encoded=encoded))
        row += len(spans)
    return JournalRecord(
        first_seq=Seq(raw["first_seq"]),
        request_id=raw["request_id"],
        learning_rate=raw["learning_rate"],
        observations=tuple(observations),
        skipped_seq=raw["skipped_seq"],
        singly_seq=raw["singly_seq"],
    )
