"""Consolidation: like sleep, without losing anything."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from memory_core import engine
from memory_core.config import VARIANTS
from memory_core.consolidation.replay import Rehearsal, held_out_units, reads_back, rehearse
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, Seq
from memory_core.networks.learned_gates import PARAMETERS
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
    after, result = engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=1))
    assert (after.pattern_count, result.patterns_merged) == (4, 1)
    assert result.memory_compressed_by == pytest.approx(0.2)
    answer = engine.infer(after, NAME, encode_texts([NEAR[0]])[0], InferOptions(pattern_limit=1))
    assert {exemplar.text for exemplar in answer.patterns[0].exemplars} == set(NEAR)


def test_the_old_state_is_untouched_and_the_new_one_is_whole(state: MemoryState) -> None:
    before = state.weight_hash()
    after, result = engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=2))
    assert state.weight_hash() == before
    assert after.clone().weight_hash() == after.weight_hash()
    assert result.stability_after >= result.stability_before - 0.05
    assert after.observation_count == state.observation_count


def test_every_other_fact_is_still_recalled(state: MemoryState) -> None:
    after, _ = engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=1))
    for text in OTHERS:
        answer = engine.infer(after, NAME, encode_texts([text])[0], InferOptions(pattern_limit=1))
        assert answer.patterns[0].exemplars[0].text == text


def test_learning_goes_on_after_consolidation(state: MemoryState) -> None:
    after, _ = engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=1))
    after, outcomes = engine.observe(after, encode_observations("Saturn would float."), first_seq=Seq(6))
    assert outcomes[0].learned
    assert after.pattern_count == 5


@pytest.mark.parametrize("steps", [0, 101])
def test_a_number_of_steps_out_of_range_is_refused(state: MemoryState, steps: int) -> None:
    with pytest.raises(InvalidInput, match="steps"):
        engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=steps))


def test_an_empty_memory_consolidates_to_itself() -> None:
    after, result = engine.consolidate(MemoryState.create(small_config()), NAME, engine.ConsolidationPlan())
    assert (after.pattern_count, result.patterns_merged, result.memory_compressed_by) == (0, 0, 0.0)


FACTS = tuple(f"Depot {number} keeps part {number * 37} on shelf {number * 11}." for number in range(48))


def taught(**changes: Any) -> MemoryState:
    state = MemoryState.create(small_config(**changes))
    engine.observe(state, encode_observations(*FACTS), first_seq=Seq(1))
    return state


def test_stability_is_measured_on_units_that_are_not_rehearsed() -> None:
    state = taught()
    blank = state.clone()
    blank.fast_weights = blank.network.initial()
    held = held_out_units(blank)
    assert len(held) == math.ceil(len(blank.bank.units.owned()) / 8)
    rehearse(blank, Rehearsal(steps=3), held)
    others = np.setdiff1d(blank.bank.units.owned(), held)
    assert reads_back(blank, others).mean() > 0.95
    assert reads_back(blank, held).mean() < 0.5
    _, result = engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=2))
    assert result.held_out == len(held)
    assert result.stability_score == result.stability_before == 1.0


def test_every_unit_is_held_out_as_often_as_any_other() -> None:
    state = taught()
    times = np.zeros(state.bank.units.used)
    for count in range(600):
        state.observation_count = count
        times[held_out_units(state)] += 1
    assert times.min() > 40
    assert times.max() < 120


@pytest.mark.parametrize("variant", VARIANTS)
def test_elastic_weight_consolidation_holds_the_weights_of_every_variant(variant: str) -> None:
    state = taught(variant=variant)

    def moved(ewc_lambda: float) -> float:
        after, _ = engine.consolidate(state, NAME, engine.ConsolidationPlan(ewc_lambda=ewc_lambda))
        names = [name for name in state.fast_weights if name.startswith(("weight", "rows"))]
        return sum(float((after.fast_weights[name] - state.fast_weights[name]).norm()) for name in names)

    assert moved(1e4) < moved(0.1) < moved(0.0)


def test_progress_never_falls_and_what_it_raises_keeps_the_old_state() -> None:
    state = taught()
    told: list[tuple[float, str]] = []
    engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=3), lambda *step: told.append(step))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert list(dict.fromkeys(phase for _, phase in told)) == ["merging", "rehearsing", "weighing", "measuring"]
    before = state.weight_hash()

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=3), stop)
    assert state.weight_hash() == before


def test_learned_gates_are_learned_in_sleep_and_go_on_bit_by_bit() -> None:
    state = MemoryState.create(
        small_config(
            variant="titans", gates="learned", momentum_decay=0.5, forget_gate=0.001, units=512, surprise_gate=0.0
        )
    )
    facts = [" ".join(f"w{(number * 7919 + part * 104729) % 99991}" for part in range(5)) for number in range(170)]
    engine.observe(state, encode_observations(*facts), first_seq=Seq(1))
    state.fast_weights[PARAMETERS][0, 0] = -4.0  # far too short steps
    told: list[str] = []
    after, _ = engine.consolidate(state, NAME, engine.ConsolidationPlan(), lambda _, phase: told.append(phase))
    assert list(dict.fromkeys(told)) == ["merging", "gating", "rehearsing", "weighing", "measuring"]
    assert float(state.fast_weights[PARAMETERS][0, 0]) == -4.0
    assert float(after.fast_weights[PARAMETERS][0, 0]) > -4.0
    restored = MemoryState.from_parts(after.config, after.to_parts())
    for one in (after, restored):
        engine.observe(one, encode_observations("Saturn would float."), first_seq=Seq(200))
    assert restored.weight_hash() == after.weight_hash()

    def stop(_: float, phase: str) -> None:
        if phase == "gating":
            raise KeyboardInterrupt

    before = state.weight_hash()
    with pytest.raises(KeyboardInterrupt):
        engine.consolidate(state, NAME, engine.ConsolidationPlan(), stop)
    assert state.weight_hash() == before


@pytest.mark.parametrize("ewc_lambda", [-1.0, float("nan"), float("inf")])
def test_a_penalty_out_of_range_is_refused(ewc_lambda: float) -> None:
    with pytest.raises(InvalidInput, match="ewc_lambda"):
        engine.ConsolidationPlan(ewc_lambda=ewc_lambda)
