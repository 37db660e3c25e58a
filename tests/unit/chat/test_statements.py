"""What of a user's words is worth learning."""

from __future__ import annotations

import pytest

from deployments.chat.conversation import questions, statements


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("When does it leave?", ""),
        ("My dog is called Rex. What is a good name for a cat?", "My dog is called Rex."),
        ("Version 2.5 is out", "Version 2.5 is out"),
        ("One.\nTwo?\nThree", "One. Three"),
        ("Really?! It works.", "It works."),
        ("???", ""),
    ],
)
def test_questions_are_left_out(said: str, kept: str) -> None:
    assert statements(said) == kept


def test_a_memory_is_asked_with_the_questions_of_a_message() -> None:
    assert questions("Rain falls. When does it stop?") == "When does it stop?"
    assert questions("Tell me about rain.") == "Tell me about rain."
