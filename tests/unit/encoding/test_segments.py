"""Cutting texts into segments."""

from __future__ import annotations

import re
import time

import pytest

from memory_core.encoding.segments import Span, cut_segments, speaker_end


def pieces_of(text: str) -> list[Span]:
    return [match.span() for match in re.finditer(r"\w{1,4}|[^\w\s]", text)]


def cut_texts(text: str, pieces_max: int) -> list[str]:
    return [text[s.start : s.end] for s in cut_segments(text, pieces_of(text), pieces_max)]


def test_each_sentence_is_a_segment() -> None:
    assert cut_texts("The cat sat on us. Now we go home!", 99) == ["The cat sat on us.", "Now we go home!"]


def test_a_short_sentence_stays_with_the_next_one() -> None:
    assert cut_texts("Yes! He is here now. So we all left.", 99) == ["Yes! He is here now.", "So we all left."]


def test_a_short_last_sentence_stays_with_the_one_before() -> None:
    assert cut_texts("The cat sat on us. Go on.", 99) == ["The cat sat on us. Go on."]


def test_closing_quotes_stay_with_their_sentence() -> None:
    assert cut_texts('"We all go now!" She left us then.', 99) == ['"We all go now!"', "She left us then."]


def test_a_lower_case_letter_after_a_full_stop_starts_no_sentence() -> None:
    assert cut_texts("It was e.g. very cold and wet etc. so we left.", 99) == [
        "It was e.g. very cold and wet etc. so we left."
    ]


def test_a_new_line_ends_a_sentence() -> None:
    assert cut_texts("First we all go up\nThen we all come back", 99) == ["First we all go up", "Then we all come back"]


def test_a_full_stop_inside_a_number_ends_no_sentence() -> None:
    assert cut_texts("pi is 3.14 or so", 5) == ["pi is 3.14", "or so"]


def test_chinese_and_japanese_sentences_end_without_a_space() -> None:
    text = "你今天好吗。我今天很好！谢谢你们啊"
    pieces = [(i, i + 1) for i in range(len(text))]
    assert [text[s.start : s.end] for s in cut_segments(text, pieces)] == ["你今天好吗。", "我今天很好！", "谢谢你们啊"]


def test_a_long_sentence_is_cut_at_white_space() -> None:
    assert cut_texts("alpha beta gama delt", 3) == ["alpha beta", "gama delt"]


def test_text_without_spaces_is_cut_hard() -> None:
    assert cut_texts("aaaabbbbccccdd", 2) == ["aaaabbbb", "ccccdd"]


def test_pieces_of_one_character_are_never_parted() -> None:
    assert [s[:2] for s in cut_segments("학교", [(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)], 4)] == [(0, 1), (1, 2)]


def test_characters_outside_all_pieces_are_kept() -> None:
    text = "\x00ab\x00\x00cd\x00"
    assert [s[:2] for s in cut_segments(text, [(1, 3), (5, 7)], 1)] == [(0, 5), (5, 8)]


def test_an_empty_or_blank_text_is_one_segment() -> None:
    assert cut_segments("", []) == ((0, 0, 0, 0),)
    assert cut_segments("  \n", []) == ((0, 3, 0, 0),)


def test_white_space_around_a_segment_is_left_out() -> None:
    assert cut_segments("  hello ", [(2, 7)]) == ((2, 7, 0, 1),)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ann: Hi!", "Ann: "),
        ("Dr. Anne-Marie O’Neil: Hi!", "Dr. Anne-Marie O’Neil: "),
        ("12: noon", ""),
        ("at 12:30 we met", ""),
        ("Ann:", ""),
        ("", ""),
        pytest.param("x" * 1_000_000, "", id="megabyte"),
    ],
)
def test_a_speaker_is_a_name_before_a_colon(text: str, name: str) -> None:
    assert text[: speaker_end(text)] == name


def test_cutting_time_grows_linearly_with_a_text_without_spaces() -> None:
    def seconds(length: int) -> float:
        text = "x" * length
        pieces = [(i, i + 1) for i in range(length)]
        start = time.process_time()
        cut_segments(text, pieces)
        return time.process_time() - start

    # Sixteen times the text: linear is about 16, quadratic 256.
    assert seconds(320_000) < 64 * max(seconds(20_000), 0.01)


def test_a_megabyte_of_spaces_between_words_does_not_slow_cutting() -> None:
    text = f"a{' ' * 1_000_000}b" * 2
    start = time.process_time()
    assert len(cut_segments(text, pieces_of(text), 1)) == 3
    assert time.process_time() - start < 2.0
