"""What a state answers."""

from __future__ import annotations

import pytest

from memory_core import engine
from memory_core.ids import MemoryName, Seq
from memory_core.results import EncodedText, InferOptions, InferResult
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

NAME = MemoryName("m")
FACTS = (
    "Ann: I moved to Lisbon in April.",
    "Ben: That is great! Which quarter do you live in?",
    "Ann: Alfama, close to the castle.",
    "The printer on floor two needs magenta toner.",
    "Quarterly reports are due on the fifth working day.",
    "Le château est fermé le lundi.",
)


@pytest.fixture
def state() -> MemoryState:
    state = MemoryState.create(small_config())
    engine.observe(state, encode_observations(*FACTS[:3], session="talk", domain="life"), first_seq=Seq(1))
    engine.observe(state, encode_observations(*FACTS[3:], domain="office", metadata={"year": 2026}), first_seq=Seq(4))
    return state


def ask(state: MemoryState, question: str, **options: object) -> InferResult:
    return engine.infer(state, NAME, query(question), InferOptions(**options))  # type: ignore[arg-type]


def query(text: str) -> EncodedText:
    return encode_texts([text])[0]


def test_the_pattern_that_answers_comes_first_with_its_text(state: MemoryState) -> None:
    answer = ask(state, "What toner does the printer need?")
    assert answer.mode == "recall"
    assert FACTS[3] in answer.response
    assert answer.patterns[0].exemplars[0].text == FACTS[3]
    assert answer.patterns[0].exemplars[0].seq == 4


def test_a_neighbour_in_the_session_comes_along(state: MemoryState) -> None:
    texts = [match.exemplars[0].text for match in ask(state, "Which quarter does Ann live in?").patterns[:3]]
    assert FACTS[2] in texts


def test_weights_are_shares_in_falling_order(state: MemoryState) -> None:
    weights = [match.weight for match in ask(state, "When are reports due?", pattern_limit=6).patterns]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(1.0)


def test_asking_and_measuring_surprise_change_nothing(state: MemoryState) -> None:
    before = state.weight_hash()
    ask(state, "When are reports due?")
    engine.surprise(state, NAME, query("Entirely new things happen."))
    assert state.weight_hash() == before


def test_filters_keep_only_what_matches(state: MemoryState) -> None:
    for options in ({"domain": "office"}, {"metadata": {"year": 2026}}):
        answer = ask(state, "Where does Ann live?", pattern_limit=10, **options)
        assert {match.exemplars[0].text for match in answer.patterns} == set(FACTS[3:])
    assert ask(state, "Where does Ann live?", domain="nowhere").mode == "not_learned"


def test_an_empty_memory_says_that_it_has_not_learned(state: MemoryState) -> None:
    answer = ask(MemoryState.create(small_config()), "Anything?")
    assert (answer.mode, answer.response, answer.confidence, answer.patterns) == ("not_learned", "", 0.0, ())


def test_confidence_is_higher_for_what_was_told_than_for_what_was_not(state: MemoryState) -> None:
    told = ask(state, "Does the printer on floor two need magenta toner?").confidence
    untold = ask(state, "How do glaciers carve fjords?").confidence
    assert told > 0.5 > untold


def test_surprising_words_are_the_ones_that_changed(state: MemoryState) -> None:
    text = "The printer on floor seven needs magenta toner."
    result = engine.surprise(state, NAME, query(text))
    assert [word.word for word in result.surprising_words] == ["seven"]
    word = result.surprising_words[0]
    assert text[word.start : word.end] == "seven"
    assert 0 < word.share < 1


def test_recommendations_follow_the_score(state: MemoryState) -> None:
    assert engine.surprise(state, NAME, query(FACTS[4])).recommendation == "skip"
    new = engine.surprise(state, NAME, query("Zebrafish regenerate heart muscle."))
    assert (new.recommendation, new.score > 0.7) == ("learn", True)


def test_text_in_other_languages_comes_back_unchanged(state: MemoryState) -> None:
    assert ask(state, "château fermé lundi").patterns[0].exemplars[0].text == FACTS[5]
