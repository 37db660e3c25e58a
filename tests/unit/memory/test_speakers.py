"""Speakers named in a query, and those that nobody has any more."""

from memory_core.patterns.speakers import Speakers
from memory_core.patterns.word_table import words_of_text


def named(speakers: Speakers, text: str) -> list[int]:
    return speakers.named_in(words_of_text(text, "english"), 4).nonzero()[0].tolist()


def test_a_speaker_is_named_by_all_words_of_the_name() -> None:
    speakers = Speakers(8, "english")
    for slot, text in enumerate(["Ann: Hello there!", "Ann Lee: Good morning.", "It rains.", "Ann: Bye."]):
        speakers.learn(slot, text)
    assert named(speakers, "What did Ann say?") == [0, 3]
    assert named(speakers, "What did Ann Lee say?") == [0, 1, 3]
    assert named(speakers, "What did Bob say?") == []


def test_a_slot_that_stands_for_something_else_has_another_speaker_or_none() -> None:
    speakers = Speakers(8, "english")
    speakers.learn(0, "Ann: Hello there!")
    speakers.learn(0, "Bob: Hello there!")
    assert (named(speakers, "Ann?"), named(speakers, "Bob?")) == ([], [0])
    speakers.learn(0, "It rains.")
    speakers.learn(1, "Bob: Still here.")
    assert named(speakers, "Bob?") == [1]
