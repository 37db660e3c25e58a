"""Any text in any script survives cutting, word analysis and encoding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.encoding.segments import Segment, Span, cut_segments
from memory_core.encoding.words import analyze

ANY_TEXT = st.text(st.characters(), max_size=300) | st.text("ab .。\n é한\u0301\x00", max_size=300)
LANGUAGES = st.sampled_from(["none", "english", "french", "russian", "turkish", "hindi"])


@st.composite
def tokenised_texts(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """A text and pieces as tokenisers give them: in order, gaps allowed, up to three pieces of one character."""
    text = draw(ANY_TEXT)
    pieces: list[Span] = []
    start = 0
    while start < len(text):
        length, copies = draw(st.integers(1, 4)), draw(st.integers(0, 3))
        end = min(start + length, len(text))
        pieces += [(start, end)] * copies
        start = end
    return text, pieces


def lost_text(text: str, segments: tuple[Segment, ...]) -> str:
    borders = [0, *(border for segment in segments for border in segment[:2]), len(text)]
    assert borders == sorted(borders)
    return "".join(text[a:b] for a, b in zip(borders[::2], borders[1::2], strict=True))


@given(tokenised_texts(), st.integers(3, 20))
def test_segments_lose_nothing_but_white_space(tokenised: tuple[str, list[Span]], pieces_max: int) -> None:
    text, pieces = tokenised
    assert lost_text(text, cut_segments(text, pieces, pieces_max)).strip() == ""


@given(tokenised_texts(), st.integers(3, 20))
def test_segments_share_out_all_pieces_in_order(tokenised: tuple[str, list[Span]], pieces_max: int) -> None:
    text, pieces = tokenised
    segments = cut_segments(text, pieces, pieces_max)
    assert segments[0].first_piece == 0
    assert segments[-1].end_piece == len(pieces)
    assert all(a.end_piece == b.first_piece for a, b in pairwise(segments))
    assert all(s.end_piece - s.first_piece <= pieces_max for s in segments)


@given(ANY_TEXT, LANGUAGES)
def test_words_have_a_stem_and_ordered_spans(text: str, language: str) -> None:
    words = analyze(text, language)
    assert all(0 <= word.start < word.end <= len(text) and word.stem for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)


@given(ANY_TEXT, LANGUAGES)
def test_every_letter_and_digit_is_in_a_word(text: str, language: str) -> None:
    covered = {index for word in analyze(text, language) for index in range(word.start, word.end)}
    plain = [i for i, c in enumerate(text) if c.isalnum() and not (i and text[i - 1] in "'’")]
    assert covered.issuperset(plain)


@given(st.lists(ANY_TEXT, max_size=4))
def test_hash_keys_are_unit_norm_and_texts_unchanged(texts: list[str]) -> None:
    encoded = HashEncoder().encode(texts)
    assert [one.text for one in encoded] == texts
    for one in encoded:
        assert one.keys_SD.shape == (len(one.spans), 384)
        np.testing.assert_allclose(np.linalg.norm(one.keys_SD, axis=1), 1.0, atol=1e-5)
