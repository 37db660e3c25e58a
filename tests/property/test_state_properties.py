"""Promises about MemoryState that hold for any stream of observations."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import engine
from memory_core.ids import MemoryName, Seq
from memory_core.results import InferOptions
from memory_core.state import MemoryState
from memory_core.testing.small_memory import tiny_config, tiny_observations, tiny_text

NAME = MemoryName("m")
FACTS = st.lists(st.sampled_from([f"fact {number}" for number in range(40)]), min_size=1, max_size=30)
SESSIONS = st.sampled_from([None, "a", "b"])
STREAMS = st.lists(st.tuples(FACTS, SESSIONS), min_size=1, max_size=4)
CONFIG = tiny_config(units=24)

Stream = list[tuple[list[str], str | None]]


def learned(stream: Stream, state: MemoryState | None = None) -> MemoryState:
    state = state or MemoryState.create(CONFIG)
    for facts, session in stream:
        batch = tiny_observations(*facts, session=session)
        state, _ = engine.observe(state, batch, first_seq=Seq(state.observation_count + 1))
    return state


@given(STREAMS)
def test_taking_a_state_apart_and_together_again_is_exact(stream: Stream) -> None:
    state = learned(stream)
    again = MemoryState.from_parts(CONFIG, state.to_parts())
    assert again.weight_hash() == state.weight_hash()
    assert again.to_parts().header == state.to_parts().header
    question = tiny_text("fact 3")
    options = InferOptions(pattern_limit=24)
    assert engine.infer(again, NAME, question, options) == engine.infer(state, NAME, question, options)
    assert engine.surprise(again, NAME, question) == engine.surprise(state, NAME, question)


@given(STREAMS, STREAMS)
def test_going_on_after_a_restore_equals_never_having_stopped(before: Stream, after: Stream) -> None:
    state = learned(before)
    restored = state.clone()
    assert learned(after, restored).weight_hash() == learned(after, state).weight_hash()


@given(STREAMS)
def test_the_same_stream_gives_the_same_bits(stream: Stream) -> None:
    assert learned(stream).weight_hash() == learned(stream).weight_hash()


@settings(max_examples=30)
@given(FACTS, SESSIONS)
def test_one_batch_equals_single_observations(facts: list[str], session: str | None) -> None:
    config = tiny_config(units=64)
    together, alone = MemoryState.create(config), MemoryState.create(config)
    _, batch_outcomes = engine.observe(together, tiny_observations(*facts, session=session), first_seq=Seq(1))
    outcomes = []
    for row, fact in enumerate(facts):
        _, one = engine.observe(alone, tiny_observations(fact, session=session), first_seq=Seq(row + 1))
        outcomes += one
    assert [o.patterns_activated for o in batch_outcomes] == [o.patterns_activated for o in outcomes]
    np.testing.assert_allclose([o.surprise for o in batch_outcomes], [o.surprise for o in outcomes], atol=1e-4)
    for name, tensor in together.fast_weights.items():
        np.testing.assert_allclose(tensor.numpy(), alone.fast_weights[name].numpy(), atol=1e-4)


@given(STREAMS)
def test_reading_never_changes_a_state(stream: Stream) -> None:
    state = learned(stream)
    before = state.weight_hash(), state.to_parts().header
    engine.infer(state, NAME, tiny_text("anything"), InferOptions())
    engine.surprise(state, NAME, tiny_text("anything"))
    engine.consolidate(state, NAME, engine.ConsolidationPlan(steps=1))
    assert (state.weight_hash(), state.to_parts().header) == before


@given(STREAMS)
def test_units_and_patterns_stay_in_step(stream: Stream) -> None:
    state = learned(stream)
    owners = state.bank.units.owner_u[state.bank.units.owned()]
    assert set(owners.tolist()) == set(range(state.pattern_count))
    assert len(state.bank.exemplars) == state.pattern_count
    assert 0.0 <= engine.capacity_used(state) <= 1.0
