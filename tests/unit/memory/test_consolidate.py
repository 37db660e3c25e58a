"""Consolidation: like sleep, without losing anything."""

from __future__ import annotations

import pytest

from memory_core import engine
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, Seq
from memory_core.results import InferOptions
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

NAME = MemoryName("m")
NEAR = (
    "The nightly build of the compiler finished without any error on all four platforms.",
    "The nightly build of the compiler finished without any errors on all four platforms.",
)
OTHERS = ("Herons wait for fish.", "The lease ends in June.", "Copper conducts heat well.")


@pytest.fixture
def state() -> MemoryState:
    state = MemoryState.create(small_config(surprise_gate=0.0))
    engine.observe(state, encode_observations(NEAR[0], OTHERS[0], NEAR[1], *OTHERS[1:], session="s"), first_seq=Seq(1))
    return state


def test_near_duplicates_become_one_pattern_that_keeps_both_texts(state: MemoryState) -> None:
    assert state.pattern_count == 5
    after, result = engine.consolidate(state, NAME, 1)
    assert (after.pattern_count, result.patterns_merged) == (4, 1)
    assert result.memory_compressed_by == pytest.approx(0.2)
    answer = engine.infer(after, NAME, encode_texts([NEAR[0]])[0], InferOptions(pattern_limit=1))
    assert {exemplar.text for exemplar in answer.patterns[0].exemplars} == set(NEAR)


def test_the_old_state_is_untouched_and_the_new_one_is_whole(state: MemoryState) -> None:
    before = state.weight_hash()
    after, result = engine.consolidate(state, NAME, 2)
    assert state.weight_hash() == before
    assert after.clone().weight_hash() == after.weight_hash()
    assert result.stability_after >= result.stability_before - 0.05
    assert after.observation_count == state.observation_count


def test_every_other_fact_is_still_recalled(state: MemoryState) -> None:
    after, _ = engine.consolidate(state, NAME, 1)
    for text in OTHERS:
        answer = engine.infer(after, NAME, encode_texts([text])[0], InferOptions(pattern_limit=1))
        assert answer.patterns[0].exemplars[0].text == text


def test_learning_goes_on_after_consolidation(state: MemoryState) -> None:
    after, _ = engine.consolidate(state, NAME, 1)
    after, outcomes = engine.observe(after, encode_observations("Saturn would float."), first_seq=Seq(6))
    assert outcomes[0].learned
    assert after.pattern_count == 5


@pytest.mark.parametrize("steps", [0, 101])
def test_a_number_of_steps_out_of_range_is_refused(state: MemoryState, steps: int) -> None:
    with pytest.raises(InvalidInput, match="steps"):
        engine.consolidate(state, NAME, steps)


def test_an_empty_memory_consolidates_to_itself() -> None:
    after, result = engine.consolidate(MemoryState.create(small_config()), NAME, 1)
    assert (after.pattern_count, result.patterns_merged, result.memory_compressed_by) == (0, 0, 0.0)
