"""How far a memory trusts each channel: learned from its own turns, in its sleep."""

from __future__ import annotations

import numpy as np
import pytest

from memory_core import engine
from memory_core.consolidation.plan import ConsolidationPlan
from memory_core.consolidation.trust import PAIRS_MIN, learn_channel_weights
from memory_core.encoding.words import analyze
from memory_core.ids import MemoryName, Seq
from memory_core.patterns.channels import score_patterns
from memory_core.patterns.word_table import word_ids
from memory_core.results import CHANNELS
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

NAME = MemoryName("m")
TURNS = tuple(f"Then topic{n} leads to topic{n + 1}." for n in range(2 * PAIRS_MIN))
"""Each turn shares a rare word with the turn before and another with the turn after it: words tell who follows."""


def learned(texts: tuple[str, ...], session: str | None) -> MemoryState:
    state = MemoryState.create(small_config(surprise_gate=0.0, units=2 * len(texts)))
    engine.observe(state, encode_observations(*texts, session=session), first_seq=Seq(1))
    return state


def test_without_turns_that_follow_each_other_every_channel_counts_alike() -> None:
    state = MemoryState.create(small_config(surprise_gate=0.0))
    engine.observe(state, encode_observations(*TURNS[: PAIRS_MIN // 2], session="s"), first_seq=Seq(1))
    assert learn_channel_weights(state).tolist() == [1.0] * len(CHANNELS)


def test_a_channel_that_tells_what_follows_gains() -> None:
    weights = dict(zip(CHANNELS, learn_channel_weights(learned(TURNS, "s")), strict=True))
    assert weights["words"] > 1.0
    assert weights["speaker"] == 1.0


def test_learning_the_weights_again_does_not_depend_on_those_in_use() -> None:
    state = learned(TURNS, "s")
    first = learn_channel_weights(state)
    state.channel_weights_C = np.array([2.0, 0.5, 1.5, 1.0, 1.25])
    candidates_differ_a_little = 0.05
    assert learn_channel_weights(state) == pytest.approx(first, abs=candidates_differ_a_little)


def test_sleep_learns_the_weights_and_a_version_keeps_them() -> None:
    state = learned(TURNS, "s")
    after, _ = engine.consolidate(state, NAME, ConsolidationPlan())
    assert state.channel_weights_C.tolist() == [1.0] * len(CHANNELS)
    assert after.channel_weights_C.tolist() != state.channel_weights_C.tolist()
    assert MemoryState.from_parts(after.config, after.to_parts()).channel_weights_C.tolist() == (
        after.channel_weights_C.tolist()
    )


def test_a_part_of_a_score_is_its_channel_times_its_weight() -> None:
    state = learned(TURNS, "s")
    query = encode_texts([TURNS[5]])[0]
    words = word_ids(analyze(query.text, state.config.language))
    keys = state.bank.units.keys_uD[5:6]
    plain = score_patterns(state, keys, words)
    state.channel_weights_C = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    weighted = score_patterns(state, keys, words)
    assert weighted.parts["words"] == pytest.approx(2 * plain.parts["words"])
    assert weighted.parts["precision"] == pytest.approx(plain.parts["precision"])


def test_a_slot_that_is_kept_out_lends_its_neighbours_nothing() -> None:
    state = learned(("Zebra crossing.", "It stopped there.", *TURNS[:8]), "s")
    query = encode_texts(["Zebra crossing."])[0]
    words = word_ids(analyze(query.text, state.config.language))
    keys = state.bank.units.keys_uD[:1]
    known, unknown = (score_patterns(state, keys, words, without=slot).parts["words"] for slot in (None, 0))
    assert known[1] > unknown[1]
