"""Looking into a memory: explanations, attention, expectations, comparison. None of it changes anything."""

from __future__ import annotations

import pytest

from memory_core import engine
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.ids import MemoryName, Seq, Tag
from memory_core.insight_results import StateAddress
from memory_core.results import EncodedText
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

NAME = MemoryName("m")
HERE, THERE = StateAddress(NAME, None), StateAddress(MemoryName("o"), Tag("v1"))
TALK = (
    "Ann: I moved to Lisbon in April.",
    "Ben: That is great! Which quarter do you live in?",
    "Ann: Alfama, close to the castle.",
    "Ben: Do the trams wake you up at night?",
)
OFFICE = ("The printer on floor two needs magenta toner.", "Quarterly reports are due on the fifth working day.")


def query(text: str) -> EncodedText:
    return encode_texts([text])[0]


@pytest.fixture
def state() -> MemoryState:
    state = MemoryState.create(small_config())
    engine.observe(state, encode_observations(*TALK, session="talk", domain="life"), first_seq=Seq(1))
    engine.observe(state, encode_observations(*OFFICE, domain="office", occurred_at="2026-02-01"), first_seq=Seq(5))
    return state


def test_an_explanation_names_the_characteristic_words_as_they_were_written(state: MemoryState) -> None:
    result = engine.explain(state, NAME, domain="office")
    assert result.pattern_count == 2
    printer = next(pattern for pattern in result.patterns if pattern.exemplar.text == OFFICE[0])
    assert {"magenta", "toner", "printer"} <= set(printer.words)
    assert "the" not in printer.words
    assert printer.description == ", ".join(printer.words)
    assert (printer.learned_at_seq, printer.learned_at, printer.activation_count) == (5, "2026-02-01", 1)


def test_patterns_that_were_used_more_come_first(state: MemoryState) -> None:
    engine.observe(state, encode_observations(OFFICE[1], OFFICE[1], domain="office"), first_seq=Seq(7))
    first, second = engine.explain(state, NAME, top_k=2).patterns
    assert (first.exemplar.text, first.activation_count) == (OFFICE[1], 3)
    assert first.strength > second.strength


def test_words_of_a_script_without_spaces_are_not_told_twice(state: MemoryState) -> None:
    engine.observe(state, encode_observations("東京タワー", domain="ja"), first_seq=Seq(7))
    words = engine.explain(state, NAME, domain="ja").patterns[0].words
    assert not any(one in other for one in words for other in words if one != other)


@pytest.mark.parametrize("top_k", [0, 100_000])
def test_a_number_of_patterns_out_of_range_is_refused(state: MemoryState, top_k: int) -> None:
    for call in (
        lambda: engine.explain(state, NAME, top_k),
        lambda: engine.attention_map(state, NAME, query("toner"), top_k),
        lambda: engine.predict_next(state, NAME, text=query("toner"), top_k=top_k),
        lambda: engine.diff(state, state, (HERE, THERE), top_k or -1),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_attention_goes_to_the_pattern_that_carries_the_word(state: MemoryState) -> None:
    text = "Which toner does the printer need?"
    attention = engine.attention_map(state, NAME, query(text), top_k=3)
    assert [text[token.start : token.end] for token in attention.tokens] == [token.word for token in attention.tokens]
    best = attention.rows[0]
    weight = dict(zip((token.word for token in attention.tokens), best.word_weights, strict=True))
    assert best.exemplar.text == OFFICE[0]
    assert weight["toner"] > 0 < weight["printer"]
    assert weight["the"] == 0.0
    assert [row.weight for row in attention.rows] == sorted((row.weight for row in attention.rows), reverse=True)
    assert sum(row.weight for row in attention.rows) <= 1.0
    assert "words" in best.channels


def test_a_repeated_word_shares_its_weight_among_its_places(state: MemoryState) -> None:
    once = engine.attention_map(state, NAME, query("toner"), top_k=1).rows[0]
    twice = engine.attention_map(state, NAME, query("toner toner"), top_k=1).rows[0]
    assert twice.word_weights == pytest.approx((once.word_weights[0] / 2,) * 2)


def test_after_a_turn_the_turn_that_followed_it_is_expected(state: MemoryState) -> None:
    result = engine.predict_next(state, NAME, text=query("which quarter do you live in?"), top_k=3)
    first = result.continuations[0]
    assert (result.based_on, first.exemplar.text) == ("text", TALK[2])
    assert first.learned_share > 0.5
    assert sum(one.probability for one in result.continuations) <= 1.0


def test_a_session_goes_on_with_what_followed_its_last_turn_before(state: MemoryState) -> None:
    engine.observe(state, encode_observations(TALK[0], session="again", domain="life"), first_seq=Seq(7))
    result = engine.predict_next(state, NAME, session="again")
    assert (result.based_on, result.continuations[0].exemplar.text) == ("session", TALK[1])


def test_the_end_of_a_session_is_not_expected_to_repeat_itself(state: MemoryState) -> None:
    result = engine.predict_next(state, NAME, session="talk", top_k=10)
    assert TALK[3] not in [one.exemplar.text for one in result.continuations]


def test_a_session_that_is_not_open_is_not_found(state: MemoryState) -> None:
    with pytest.raises(NotFound) as raised:
        engine.predict_next(state, NAME, session="never")
    assert raised.value.code == "SESSION_NOT_FOUND"


@pytest.mark.parametrize("both", [True, False])
def test_a_prediction_needs_a_text_or_a_session_and_not_both(state: MemoryState, both: bool) -> None:
    with pytest.raises(InvalidInput):
        engine.predict_next(state, NAME, text=query("a") if both else None, session="talk" if both else None)


def test_an_empty_memory_has_nothing_to_explain_attend_to_or_expect() -> None:
    empty = MemoryState.create(small_config())
    assert engine.explain(empty, NAME).patterns == ()
    assert engine.attention_map(empty, NAME, query("toner")).rows == ()
    assert engine.predict_next(empty, NAME, text=query("toner")).continuations == ()


def test_looking_changes_nothing(state: MemoryState) -> None:
    before = state.clone().weight_hash()
    engine.explain(state, NAME)
    engine.attention_map(state, NAME, query("toner"))
    engine.predict_next(state, NAME, text=query("toner"))
    engine.measure_capacity(state)
    engine.diff(state, state, (HERE, THERE))
    assert state.clone().weight_hash() == before


def test_a_state_does_not_differ_from_itself(state: MemoryState) -> None:
    result = engine.diff(state, state.clone(), (HERE, THERE))
    assert (result.only_here_count, result.only_there_count, result.changed_count) == (0, 0, 0)
    assert (result.shared_count, result.recall_moved) == (6, 0.0)
    assert (result.memory, result.tag, result.other, result.other_tag) == ("m", None, "o", "v1")


def test_a_difference_says_what_each_state_lacks_and_how_recall_moved(state: MemoryState) -> None:
    other = MemoryState.create(small_config())
    engine.observe(other, encode_observations(OFFICE[0], domain="office"), first_seq=Seq(1))
    engine.observe(other, encode_observations("Herons wait for fish."), first_seq=Seq(2))
    result = engine.diff(state, other, (HERE, THERE), limit=2)
    assert (result.only_here_count, len(result.only_here), result.shared_count) == (5, 2, 1)
    assert [exemplar.text for exemplar in result.only_there] == ["Herons wait for fish."]
    assert result.recall_here == 1.0
    assert result.recall_moved == pytest.approx(1 / 6 - 1)


def test_a_pattern_with_other_texts_is_changed() -> None:
    near = "The nightly build of the compiler finished without any error on all four platforms."
    state = MemoryState.create(small_config(surprise_gate=1.0))
    engine.observe(state, encode_observations(near), first_seq=Seq(1))
    other = state.clone()
    engine.observe(other, encode_observations(near.replace("error", "errors")), first_seq=Seq(2))
    result = engine.diff(state, other, (HERE, THERE))
    assert (result.changed_count, result.changed[0].texts_added) == (1, (near.replace("error", "errors"),))


def test_states_of_different_encoders_are_neither_compared_nor_merged(state: MemoryState) -> None:
    other = MemoryState.create(small_config(encoder_fingerprint="another"))
    for call in (lambda: engine.diff(state, other, (HERE, THERE)), lambda: engine.merge_observations(state, other)):
        with pytest.raises(Conflict) as raised:
            call()
        assert raised.value.code == "ENCODER_MISMATCH"


def test_what_a_merge_teaches_comes_with_everything_that_was_told(state: MemoryState) -> None:
    other = MemoryState.create(small_config())
    engine.observe(other, encode_observations(OFFICE[0], domain="office"), first_seq=Seq(1))
    observations, known = engine.merge_observations(other, state)
    assert ([item.observation.text for item in observations], known) == ([*TALK, OFFICE[1]], 1)
    assert [item.observation.session for item in observations] == ["talk"] * 4 + [None]
    assert observations[-1].observation.occurred_at == "2026-02-01"
    engine.observe(other, observations, first_seq=Seq(2))
    assert engine.merge_observations(other, state)[0] == []
    assert engine.diff(state, other, (HERE, THERE)).recall_there == 1.0
    follows = engine.predict_next(other, NAME, text=query(TALK[1]), top_k=1)
    assert follows.continuations[0].exemplar.text == TALK[2]


def test_a_text_of_several_sentences_keeps_its_keys_through_a_merge() -> None:
    long = "Herons wait for fish in the shallow water. The lease of the flat ends in June. Copper conducts heat well."
    source, target = (MemoryState.create(small_config()) for _ in range(2))
    engine.observe(source, encode_observations(long), first_seq=Seq(1))
    observations, _ = engine.merge_observations(target, source)
    assert len(observations[0].encoded.keys_SD) == source.bank.units.used > 1
    engine.observe(target, observations, first_seq=Seq(1))
    assert target.bank.exemplars[0][0].text == long
    assert target.bank.units.used == source.bank.units.used
