"""Journal frames under random content and random damage."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_core.ids import RequestId, Seq
from memory_core.results import EncodedObservation, EncodedText, Observation
from memory_core.storage.records import JournalRecord, pack_frame, split_frames, unpack_payload

KEY_DIM = 3
TEXTS = st.text(st.characters(), max_size=20)
OPTIONAL_TEXTS = st.none() | TEXTS
METADATA = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
)


@st.composite
def encoded_observations(draw: Any) -> EncodedObservation:
    observation = Observation(
        text=draw(TEXTS),
        domain=draw(OPTIONAL_TEXTS),
        session=draw(OPTIONAL_TEXTS),
        occurred_at=draw(OPTIONAL_TEXTS),
        metadata=draw(METADATA),
    )
    spans = tuple((number, number + 1) for number in range(draw(st.integers(1, 3))))
    key_bytes = 4 * KEY_DIM * len(spans)
    keys_SD = np.frombuffer(draw(st.binary(min_size=key_bytes, max_size=key_bytes)), "<f4").reshape(-1, KEY_DIM)
    return EncodedObservation(
        observation=observation, encoded=EncodedText(text=observation.text, spans=spans, keys_SD=keys_SD)
    )


@st.composite
def groups(draw: Any) -> list[JournalRecord]:
    records, seq = [], draw(st.integers(1, 2**40))
    for batch in draw(st.lists(st.lists(encoded_observations(), min_size=1, max_size=2), min_size=1, max_size=3)):
        request_id = draw(st.none() | st.just(RequestId("id")))
        rate = draw(st.none() | st.floats(0.001, 1.0))
        record = JournalRecord(first_seq=Seq(seq), request_id=request_id, learning_rate=rate, observations=tuple(batch))
        records.append(record)
        seq = record.last_seq + 1
    return records


def plain(records: list[JournalRecord]) -> list[Any]:
    return [
        (
            item.first_seq,
            item.request_id,
            item.learning_rate,
            [(one.observation, one.encoded.spans, one.encoded.keys_SD.tobytes()) for one in item.observations],
        )
        for item in records
    ]


def read_all(data: bytes) -> list[Any]:
    return plain([record for payload in split_frames(data).payloads for record in unpack_payload(payload)])


@given(st.lists(groups(), min_size=1, max_size=3))
def test_any_records_come_back_bit_by_bit(frames: list[list[JournalRecord]]) -> None:
    data = b"".join(map(pack_frame, frames))
    assert read_all(data) == [item for group in frames for item in plain(group)]


@given(groups(), groups(), st.data())
def test_a_log_cut_anywhere_keeps_its_whole_frames(
    first: list[JournalRecord], last: list[JournalRecord], data: st.DataObject
) -> None:
    head, tail = pack_frame(first), pack_frame(last)
    cut = data.draw(st.integers(0, len(head) + len(tail)))
    frames = split_frames((head + tail)[:cut])
    whole = int(cut >= len(head)) + int(cut == len(head) + len(tail))
    assert len(frames.payloads) == whole
    assert (frames.damage is None) == (cut in {0, len(head), len(head) + len(tail)})
    assert frames.damage is None or frames.is_torn


@given(groups(), groups(), st.data())
def test_a_flipped_bit_is_never_read_as_data(
    first: list[JournalRecord], last: list[JournalRecord], data: st.DataObject
) -> None:
    intact = pack_frame(first) + pack_frame(last)
    bit = data.draw(st.integers(0, 8 * len(intact) - 1))
    damaged = bytearray(intact)
    damaged[bit // 8] ^= 1 << (bit % 8)
    read = read_all(bytes(damaged))
    assert split_frames(bytes(damaged)).damage is not None
    assert read == read_all(intact)[: len(read)]
