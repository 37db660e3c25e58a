"""Frames: what was packed comes back, and damage is told from a torn tail."""

import numpy as np
import pytest

from memory_core.ids import RequestId, Seq
from memory_core.results import EncodedObservation, EncodedText, Observation
from memory_core.storage.records import JournalRecord, pack_frame, split_frames, unpack_payload
from memory_core.testing.small_memory import tiny_observations


def record(first_seq: int, *texts: str) -> JournalRecord:
    return JournalRecord(first_seq=Seq(first_seq), observations=tuple(tiny_observations(*texts)))


def same(left: JournalRecord, right: JournalRecord) -> bool:
    keys_equal = all(
        np.array_equal(a.encoded.keys_SD, b.encoded.keys_SD)
        for a, b in zip(left.observations, right.observations, strict=True)
    )
    return keys_equal and [(item.observation, item.encoded.text, item.encoded.spans) for item in left.observations] == [
        (item.observation, item.encoded.text, item.encoded.spans) for item in right.observations
    ]


def test_a_record_comes_back_with_every_field_and_bit() -> None:
    keys_SD = np.array([[0.1, -0.0, np.float32(1e-42)], [1.0, 2.0, 3.0]], dtype=np.float32)
    text = "naïve \ud800 日本\n\x00 text"
    observation = Observation(
        text=text, domain="d", session="s", occurred_at="yesterday", metadata={"a": 1, "b": 0.1, "c": None, "d": True}
    )
    encoded = EncodedText(text=text, spans=((0, 5), (6, 10)), keys_SD=keys_SD)
    original = JournalRecord(
        first_seq=Seq(7),
        request_id=RequestId("r-1"),
        learning_rate=0.3,
        observations=(EncodedObservation(observation=observation, encoded=encoded),),
    )
    (payload,) = split_frames(pack_frame([original])).payloads
    (read,) = unpack_payload(payload)
    assert same(read, original)
    assert (read.first_seq, read.request_id, read.learning_rate) == (7, "r-1", 0.3)
    assert read.observations[0].encoded.keys_SD.tobytes() == keys_SD.tobytes()


def test_a_frame_keeps_several_records_in_order() -> None:
    frame = pack_frame(
        [record(1, "one"), record(2, "two", "three"), JournalRecord(first_seq=Seq(4), skipped_seq=Seq(1))]
    )
    (payload,) = split_frames(frame).payloads
    assert [(item.first_seq, item.last_seq, item.skipped_seq) for item in unpack_payload(payload)] == [
        (1, 1, None),
        (2, 3, None),
        (4, 3, 1),
    ]


def test_frames_of_one_segment_are_separated() -> None:
    frames = split_frames(pack_frame([record(1, "one")]) + pack_frame([record(2, "two")]))
    assert frames.first_seqs == (1, 2)
    assert frames.damage is None


def test_an_empty_segment_has_no_frames_and_no_damage() -> None:
    assert split_frames(b"").damage is None


def test_a_short_last_frame_is_torn_at_every_length() -> None:
    first, last = pack_frame([record(1, "one")]), pack_frame([record(2, "two")])
    for length in range(1, len(last)):
        frames = split_frames(first + last[:length])
        assert frames.first_seqs == (1,)
        assert frames.damage is not None
        assert frames.is_torn


@pytest.mark.parametrize("kept", [0, 5, 19, 20, 21, 400, 600])
def test_a_last_frame_whose_blocks_were_never_written_is_torn(kept: int) -> None:
    first, last = pack_frame([record(1, "one")]), pack_frame([record(2, *[f"text {n}" for n in range(40)])])
    frames = split_frames(first + last[:kept] + bytes(len(last) - kept))
    assert frames.first_seqs == (1,)
    assert frames.is_torn


def test_a_flipped_bit_anywhere_in_the_last_frame_is_damage_and_not_a_torn_tail() -> None:
    first, last = pack_frame([record(1, "one")]), pack_frame([record(2, "two")])
    for bit in range(8 * len(last)):
        damaged = bytearray(last)
        damaged[bit // 8] ^= 1 << (bit % 8)
        frames = split_frames(first + bytes(damaged))
        assert frames.first_seqs == (1,)
        assert frames.damage is not None
        assert not frames.is_torn


def test_damage_before_a_whole_frame_is_never_a_torn_tail() -> None:
    first, last = pack_frame([record(1, "one")]), pack_frame([record(2, "two")])
    for damaged in (bytes(len(first)) + last, b"\x00" * 4 + first[4:] + last, first[:-1] + b"\x00" + last):
        frames = split_frames(damaged)
        assert frames.first_seqs == ()
        assert not frames.is_torn


@pytest.mark.parametrize("kept", [0, 400], ids=["header", "body"])
def test_sectors_that_turned_to_zeros_before_a_whole_frame_are_never_a_torn_tail(kept: int) -> None:
    first, last = pack_frame([record(1, *[f"text {n}" for n in range(40)])]), pack_frame([record(41, "two")])
    assert len(first) > kept + 2 * 512
    frames = split_frames(first[:kept] + bytes(len(first) - kept) + last)
    assert frames.damage is not None
    assert not frames.is_torn
