"""How long contexts are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.mcp.parts import parts_of


def test_a_short_context_stays_as_it_is() -> None:
    assert parts_of("  one \n\n two ") == ["  one \n\n two "]


def test_cuts_fall_between_paragraphs() -> None:
    assert parts_of("a" * 60 + "\n\n" + "b" * 60, 100) == ["a" * 60, "b" * 60]


def test_cuts_fall_between_sentences_when_there_are_no_lines() -> None:
    assert parts_of("One two. Three four. Five six seven.", 24) == ["One two. Three four.", "Five six seven."]


@given(st.text(max_size=600).filter(str.strip), st.integers(8, 80))
def test_no_character_but_white_space_is_lost(context: str, length_max: int) -> None:
    parts = parts_of(context, length_max)
    assert "".join("".join(parts).split()) == "".join(context.split())
    assert all(part.strip() for part in parts)
    assert all(len(part) <= length_max for part in parts) or len(parts) == 1
