"""What observing does to a state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memory_core import engine
from memory_core.consolidation.replay import reads_back
from memory_core.errors import InvalidInput, LearningFailed, ReadOnly, Saturated
from memory_core.ids import MemoryName, Seq
from memory_core.results import InferOptions, ObserveOutcome
from memory_core.state import MemoryState
from memory_core.testing.small_memory import (
    encode_observations,
    encode_texts,
    small_config,
    tiny_config,
    tiny_observations,
)

NAME = MemoryName("m")
FACT = "The backup of the billing database rotates every Tuesday."


def learn(state: MemoryState, *texts: str, **fields: object) -> tuple[ObserveOutcome, ...]:
    first = Seq(state.observation_count + 1)
    _, outcomes = engine.observe(state, encode_observations(*texts, **fields), first_seq=first)
    return outcomes


def surprise_of(state: MemoryState, text: str) -> float:
    return engine.surprise(state, NAME, encode_texts([text])[0]).score


def test_surprise_of_a_text_falls_by_more_than_half_once_it_was_observed() -> None:
    state = MemoryState.create(small_config())
    learn(state, "Otters hold hands while they sleep.", "The invoice was paid in March.")
    first, second, third = (learn(state, FACT)[0].surprise for _ in range(3))
    assert second < first / 2
    assert third <= second


def test_a_repeat_strengthens_its_pattern_and_moves_no_weight() -> None:
    state = MemoryState.create(small_config())
    first = learn(state, FACT)[0]
    repeat = learn(state, FACT)[0]
    assert first.learned and first.weight_delta > 0
    assert not repeat.learned and repeat.weight_delta == 0
    assert repeat.patterns_activated == first.patterns_activated
    assert state.pattern_count == 1
    assert state.bank.column("uses_U").tolist() == [2]


def test_a_changed_fact_is_more_surprising_than_a_repeat_and_less_than_a_new_topic() -> None:
    state = MemoryState.create(small_config())
    learn(state, FACT, "Otters hold hands while they sleep.")
    changed = surprise_of(state, FACT.replace("Tuesday", "Friday"))
    assert surprise_of(state, FACT) + 0.1 < changed < surprise_of(state, "Volcanoes on Io erupt sulphur.")


def test_a_negated_fact_is_noticed() -> None:
    state = MemoryState.create(small_config())
    learn(state, "The door of the archive is locked at night.")
    assert surprise_of(state, "The door of the archive is not locked at night.") > 0.1


def test_the_parameter_count_never_changes() -> None:
    state = MemoryState.create(small_config())
    before = state.parameter_count
    learn(state, *(f"Room {number} has {number * 7} chairs." for number in range(200)))
    assert state.parameter_count == before


def test_a_full_memory_lets_its_weakest_patterns_go_and_stays_consistent() -> None:
    state = MemoryState.create(tiny_config(units=16))
    batch = tiny_observations(*(f"fact number {number}" for number in range(60)), session="s")
    state, _ = engine.observe(state, batch, first_seq=Seq(1))
    assert state.pattern_count == 16
    assert engine.capacity_used(state) == 1.0
    assert state.clone().weight_hash() == state.weight_hash()
    kept = [slot[0].text for slot in state.bank.exemplars]
    for item in tiny_observations(*kept[:4]):
        answer = engine.infer(state, NAME, item.encoded, InferOptions())
        assert answer.patterns[0].exemplars[0].text == item.encoded.text


def test_a_pattern_that_is_used_often_outlives_the_others() -> None:
    state = MemoryState.create(tiny_config(units=8))
    favourite = tiny_observations("the favourite")
    for number in range(40):
        engine.observe(state, favourite, first_seq=Seq(2 * number + 1))
        engine.observe(state, tiny_observations(f"passing thought {number}"), first_seq=Seq(2 * number + 2))
    assert "the favourite" in {slot[0].text for slot in state.bank.exemplars}


def test_the_refuse_policy_refuses_before_anything_is_learned() -> None:
    state = MemoryState.create(tiny_config(units=4, saturation="refuse"))
    engine.observe(state, tiny_observations("a", "b", "c"), first_seq=Seq(1))
    before = state.weight_hash()
    with pytest.raises(Saturated) as caught:
        engine.observe(state, tiny_observations("d", "e"), first_seq=Seq(4))
    assert caught.value.code == "MEMORY_SATURATED"
    assert state.weight_hash() == before


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_key_that_is_not_finite_is_refused_and_the_state_kept(poison: float) -> None:
    state = MemoryState.create(small_config())
    learn(state, FACT)
    before = state.weight_hash()
    item = encode_observations("A harmless sentence.")[0]
    keys = item.encoded.keys_SD.copy()
    keys[0, 0] = poison
    with pytest.raises(LearningFailed):
        engine.observe(state, [replace(item, encoded=replace(item.encoded, keys_SD=keys))], first_seq=Seq(2))
    assert state.weight_hash() == before


def test_learning_rate_zero_is_read_only_and_one_request_can_override_the_step_size() -> None:
    state = MemoryState.create(small_config(learning_rate=0.0))
    with pytest.raises(ReadOnly):
        learn(state, FACT)
    _, quick = engine.observe(state, encode_observations(FACT), first_seq=Seq(1), learning_rate=1.0)
    other = MemoryState.create(small_config())
    _, slow = engine.observe(other, encode_observations(FACT), first_seq=Seq(1), learning_rate=0.1)
    assert 0 < slow[0].weight_delta < quick[0].weight_delta


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_a_learning_rate_out_of_range_is_refused(rate: float) -> None:
    state = MemoryState.create(small_config())
    with pytest.raises(InvalidInput, match="learning_rate"):
        engine.observe(state, encode_observations(FACT), first_seq=Seq(1), learning_rate=rate)


def test_keys_of_another_size_are_refused() -> None:
    state = MemoryState.create(small_config())
    with pytest.raises(InvalidInput, match="key_dim=384"):
        engine.observe(state, tiny_observations("a"), first_seq=Seq(1))


def test_a_long_observation_becomes_several_passages_that_lose_no_word() -> None:
    state = MemoryState.create(small_config(units=256))
    text = " ".join(f"Sentence number {number} speaks about topic {number * 13}." for number in range(60))
    outcome = learn(state, text)[0]
    passages = [slot[0].text for slot in state.bank.exemplars]
    assert len(passages) == len(outcome.patterns_activated) > 1
    assert " ".join(passages).split() == text.split()
    assert surprise_of(state, text) < 0.05


def test_one_sentence_of_a_longer_observation_is_known() -> None:
    state = MemoryState.create(small_config())
    learn(state, "The harbour opens at six in the morning. Ferries to the island leave from pier nine.")
    assert surprise_of(state, "Ferries to the island leave from pier nine.") < 0.2


def test_fast_weights_read_back_what_they_were_taught() -> None:
    state = MemoryState.create(small_config(units=256, rows=4096, active_rows=32))
    learn(
        state, *(f"Customer {number} ordered {number * 3} crates of {'pears' * (number % 4)}." for number in range(80))
    )
    assert reads_back(state, state.bank.units.owned()).mean() > 0.95


def test_observations_of_a_session_are_linked_in_order() -> None:
    state = MemoryState.create(tiny_config())
    batch = tiny_observations("one", "two", "three", session="talk")
    engine.observe(state, batch[:1], first_seq=Seq(1))
    engine.observe(state, tiny_observations("elsewhere", session="other"), first_seq=Seq(2))
    engine.observe(state, batch[1:], first_seq=Seq(3))
    reach = state.transitions.reach(np.array([0]))
    assert dict(zip(reach.steps_R.tolist(), reach.target_R.tolist(), strict=True)) == {1: 2, 2: 3}
