"""Cutting texts into segments."""

from __future__ import annotations

import re
import time

from memory_core.encoding.segments import Span, cut_segments


def pieces_of(text: str) -> list[Span]:
    return [match.span() for match in re.finditer(r"\w{1,4}|[^\w\s]", text)]


def cut_texts(text: str, pieces_max: int) -> list[str]:
    return [text[s.start : s.end] for s in cut_segments(text, pieces_of(text), pieces_max)]


def test_a_text_that_fits_stays_one_segment_even_with_several_sentences() -> None:
    assert cut_texts("One. Two. Six.", 6) == ["One. Two. Six."]


def test_a_longer_text_is_cut_after_the_last_sentence_that_fits() -> None:
    assert cut_texts("One is. Two is. Six is.", 7) == ["One is. Two is.", "Six is."]


def test_closing_quotes_stay_with_their_sentence() -> None:
    assert cut_texts('"Go now!" She left us.', 7) == ['"Go now!"', "She left us."]


def test_an_earlier_sentence_end_is_not_taken_for_a_later_one() -> None:
    assert cut_texts("I go. a b c d", 5) == ["I go.", "a b c d"]


def test_a_full_stop_inside_a_number_ends_no_sentence() -> None:
    assert cut_texts("pi is 3.14 or so", 5) == ["pi is 3.14", "or so"]


def test_chinese_and_japanese_sentences_end_without_a_space() -> None:
    text = "你好吗。我很好！谢谢"
    pieces = [(i, i + 1) for i in range(len(text))]
    assert [text[s.start : s.end] for s in cut_segments(text, pieces, 5)] == ["你好吗。", "我很好！", "谢谢"]


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


def test_cutting_time_grows_linearly_with_a_text_without_spaces() -> None:
    def seconds(length: int) -> float:
        text = "x" * length
        pieces = [(i, i + 1) for i in range(length)]
        start = time.process_time()
        cut_segments(text, pieces)
        return time.process_time() - start

    # Sixteen times the text: linear is about 16, quadratic 256.
    assert seconds(1_000_000) < 64 * max(seconds(62_500), 0.01)


def test_a_megabyte_of_spaces_between_words_does_not_slow_cutting() -> None:
    text = f"a{' ' * 1_000_000}b" * 2
    start = time.process_time()
    assert len(cut_segments(text, pieces_of(text), 1)) == 3
    assert time.process_time() - start < 2.0
