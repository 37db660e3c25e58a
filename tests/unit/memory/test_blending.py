"""A memory whose units have run out: blends first, a lottery of the weak afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memory_core import engine
from memory_core.consolidation.blending import make_room
from memory_core.consolidation.replay import reads_back
from memory_core.ids import MemoryName, Seq
from memory_core.results import ForgetSelection, InferOptions, ObserveOutcome
from memory_core.state import MemoryState
from memory_core.testing.small_memory import (
    encode_observations,
    encode_texts,
    small_config,
    tiny_config,
    tiny_observations,
)

NAME = MemoryName("m")
ANIMALS = ("Otters", "Herons", "Badgers", "Lynxes", "Storks", "Martens", "Adders", "Newts")
ACTS = ("sleep near the old mill", "cross the frozen river", "hide below the chapel", "wait beside the orchard")
FACTS = tuple(
    f"{animal} {act} every {day}."
    for animal in ANIMALS
    for act, day in zip(ACTS, ("May", "June", "July", "March"), strict=True)
)


def learn(state: MemoryState, *texts: str, **fields: object) -> tuple[ObserveOutcome, ...]:
    outcomes: list[ObserveOutcome] = []
    for text in texts:
        batch = encode_observations(text, **fields)
        outcomes += engine.observe(state, batch, first_seq=Seq(state.observation_count + 1))[1]
    return tuple(outcomes)


def answer(state: MemoryState, text: str) -> str:
    found = engine.infer(state, NAME, encode_texts([text])[0], InferOptions(pattern_limit=1))
    return found.patterns[0].exemplars[0].text


def texts_of(state: MemoryState) -> list[str]:
    return [item.text for texts in state.bank.exemplars for item in texts]


@pytest.mark.parametrize("variant", ["sparse", "linear", "titans"])
def test_twice_as_many_facts_as_units_are_all_kept_and_most_still_answered(variant: str) -> None:
    state = MemoryState.create(small_config(units=16, variant=variant))
    learn(state, *FACTS, session="walk")
    assert state.pattern_count <= 16
    assert sorted(texts_of(state)) == sorted(FACTS)
    assert np.mean([answer(state, fact) == fact for fact in FACTS]) > 0.7
    assert state.bank.blends().any()
    assert state.clone().weight_hash() == state.weight_hash()


def test_the_key_of_a_blend_leads_to_its_code() -> None:
    state = MemoryState.create(small_config(units=16))
    learn(state, *FACTS)
    blends = np.flatnonzero(state.bank.blends())
    units = np.array([state.bank.units.units_of(slot)[0] for slot in blends.tolist()])
    assert reads_back(state, units).mean() > 0.5


def test_a_blend_has_the_mean_key_and_all_words_links_and_uses() -> None:
    state = MemoryState.create(small_config(units=8, surprise_gate=0.0))
    learn(state, FACTS[0], FACTS[1], "The kiln is fired on Sundays.", FACTS[0].replace("sleep", "rest"), session="s")
    before, links = state.clone(), state.transitions.next_UL[:4, 0].tolist()
    assert links == [1, 2, 3, -1]
    state.bank.columns["crowding_U"][4:] = 0
    result = make_room(state, 5)
    assert state.weight_hash() == before.weight_hash()
    assert result.pattern_count == 3
    (slot,) = np.flatnonzero(result.bank.blends()).tolist()
    assert [item.text for item in result.bank.exemplars[slot]] == [FACTS[0], FACTS[0].replace("sleep", "rest")]
    (unit,) = result.bank.units.units_of(slot)
    mean_D = torch.nn.functional.normalize(before.bank.units.keys_UD[0] + before.bank.units.keys_UD[3], dim=-1)
    torch.testing.assert_close(result.bank.units.keys_UD[unit], mean_D)
    assert before.words.words_of(0) | before.words.words_of(3) == result.words.words_of(slot)
    assert result.bank.columns["uses_U"][slot] == 2
    assert result.transitions.next_UL[:3, 0].tolist() == [1, 2, 0]
    assert result.transitions.tails == {"s": slot}


def test_a_text_inside_a_blend_is_still_known() -> None:
    state = MemoryState.create(small_config(units=16))
    learn(state, *FACTS)
    familiar = [engine.surprise(state, NAME, text).score for text in encode_texts(FACTS)]
    (new,) = encode_texts(["Volcanoes on Io erupt sulphur."])
    assert np.mean(familiar) < 0.3 < engine.surprise(state, NAME, new).score


def test_room_is_made_for_many_at_once_and_not_at_all_where_nothing_can_be_blended() -> None:
    state = MemoryState.create(small_config(units=64))
    learn(state, *FACTS, *(fact.replace("every", "each") for fact in FACTS))
    assert make_room(state, 0) is state
    assert make_room(state, 20).bank.units.free_count >= 20
    single = MemoryState.create(small_config(units=16, exemplars_per_pattern=1))
    learn(single, *FACTS)
    assert not single.bank.blends().any()
    assert single.pattern_count == 16
    assert make_room(single, 4) is single


def test_forgetting_one_text_of_a_blend_makes_it_of_the_others_alone() -> None:
    state = MemoryState.create(small_config(units=16))
    learn(state, *FACTS)
    slot = int(np.flatnonzero(state.bank.blends())[0])
    gone, *stay = state.bank.exemplars[slot]
    selection = ForgetSelection(seq_from=gone.seq, seq_to=gone.seq)
    chosen = engine.cut(state, selection)
    assert set(chosen.texts_to_encode) == {item.text for item in (gone, *stay)}
    result, receipt = engine.forget(state, NAME, selection, encode_texts(chosen.texts_to_encode))
    assert (receipt.exemplars_removed, receipt.recall_before, receipt.recall_after) == (1, 1.0, 0.0)
    home = next(at for at, texts in enumerate(result.bank.exemplars) if texts[0].text == stay[0].text)
    keys = [torch.from_numpy(text.keys_SD).mean(0) for text in encode_texts([item.text for item in stay])]
    expected_D = torch.nn.functional.normalize(torch.stack(keys).mean(0), dim=-1)
    torch.testing.assert_close(result.bank.units.keys_UD[result.bank.units.units_of(home)[0]], expected_D)
    other = next(at for at in np.flatnonzero(state.bank.blends()).tolist() if at != slot)
    first = state.bank.exemplars[other][0].text
    kept = next(at for at, texts in enumerate(result.bank.exemplars) if texts[0].text == first)
    assert result.words.words_of(kept) == state.words.words_of(other)


def test_what_is_given_up_at_last_is_spread_over_the_ages_and_spares_the_newest() -> None:
    state = MemoryState.create(tiny_config(units=64, exemplars_per_pattern=1))
    for number in range(256):
        engine.observe(state, tiny_observations(f"passing thought {number}"), first_seq=Seq(number + 1))
    kept = np.sort([texts[0].seq for texts in state.bank.exemplars])
    assert set(range(249, 257)) <= set(kept.tolist())
    thirds = np.histogram(kept, bins=[1, 84, 167, 249])[0]
    assert thirds.min() >= 8
