"""Forgetting: the memory becomes what it would be without the subject."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from memory_core import engine
from memory_core.errors import InvalidInput, Unavailable
from memory_core.ids import MemoryName, PatternId, Seq
from memory_core.results import ForgetReceipt, ForgetSelection, InferOptions
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

NAME = MemoryName("m")
ANA = "Ana Petrovic pays her rent on the third of each month."
ANA_TOO = "The landlord said that Ana Petrovic has a dog."
OTHERS = ("Herons wait for fish.", "The lease ends in June.", "Copper conducts heat well.")


def learned(*texts: str, **fields: Any) -> MemoryState:
    state = MemoryState.create(small_config())
    engine.observe(state, encode_observations(*texts, **fields), first_seq=Seq(1))
    return state


def forget(state: MemoryState, **selection: Any) -> tuple[MemoryState, ForgetReceipt]:
    chosen = ForgetSelection(**selection)
    return engine.forget(state, NAME, chosen, encode_texts(engine.cut(state, chosen).texts_to_encode))


def texts_of(state: MemoryState) -> list[str]:
    return [item.text for slot in state.bank.exemplars for item in slot]


@pytest.fixture
def state() -> MemoryState:
    return learned(OTHERS[0], ANA, OTHERS[1], ANA_TOO, OTHERS[2], session="s")


def test_every_exemplar_with_all_words_of_the_subject_goes_and_the_rest_stays(state: MemoryState) -> None:
    after, receipt = forget(state, subject="Ana Petrovic")
    assert texts_of(after) == list(OTHERS)
    assert (receipt.patterns_removed, receipt.exemplars_removed, receipt.texts_measured) == (2, 2, 2)
    assert after.clone().weight_hash() == after.weight_hash()


def test_the_receipt_is_measured_before_and_after(state: MemoryState) -> None:
    _, receipt = forget(state, subject="petrovic")
    assert receipt.surprise_before is not None and receipt.surprise_after is not None
    assert receipt.surprise_before < 0.1
    assert receipt.surprise_after > 0.9
    assert (receipt.recall_before, receipt.recall_after) == (1.0, 0.0)


def test_the_old_state_is_untouched(state: MemoryState) -> None:
    before = state.weight_hash()
    forget(state, subject="Ana")
    assert state.weight_hash() == before


def test_what_is_left_equals_a_memory_that_never_heard_of_it() -> None:
    rest = [f"Fact number {number} is about {word}." for number, word in enumerate("tin zinc lead gold".split())]
    never, told = learned(*rest), learned(*rest[:2], ANA, *rest[2:])
    after, _ = forget(told, patterns=(PatternId(2),))
    for name in ("keys_uD", "owner_u", "word_nW", "word_count_nW", "crowding_U", "segments_U"):
        left, right = (state.to_parts().blobs["patterns"][name] for state in (never, after))
        torch.testing.assert_close(left, right, rtol=0, atol=1e-6)
    for name, tensor in never.to_parts().blobs["precision"].items():
        torch.testing.assert_close(tensor, after.to_parts().blobs["precision"][name], rtol=0, atol=1e-6)


def test_no_key_of_the_removed_is_left_in_any_tensor(state: MemoryState) -> None:
    (gone,) = encode_texts([ANA])
    after, _ = forget(state, subject="Ana Petrovic")
    similarity_S = np.asarray(after.similarity(torch.from_numpy(gone.keys_SD)))
    assert similarity_S.max() < 0.9
    assert after.precision.count == sum(len(item.keys_SD) for item in encode_texts(OTHERS))


def test_ids_counters_and_links_of_what_stays_are_kept(state: MemoryState) -> None:
    after, _ = forget(state, subject="Ana Petrovic")
    assert after.bank.column("pattern_id_U").tolist() == [0, 2, 4]
    assert after.bank.next_pattern_id == 5
    assert after.observation_count == 5
    assert after.transitions.tails == {"s": 2}
    assert (after.transitions.next_UL[:3] == -1).all()


def test_learning_goes_on_after_forgetting(state: MemoryState) -> None:
    after, _ = forget(state, subject="Ana Petrovic")
    after, outcomes = engine.observe(after, encode_observations(ANA), first_seq=Seq(6))
    assert outcomes[0].surprise > 0.9
    assert outcomes[0].patterns_activated == (PatternId(5),)


def test_positions_and_conditions_narrow_each_other(state: MemoryState) -> None:
    after, _ = forget(state, subject="Ana", seq_from=3, seq_to=4)
    assert texts_of(after) == [OTHERS[0], ANA, OTHERS[1], OTHERS[2]]


def test_a_range_of_times_is_inclusive_and_a_date_means_its_whole_day() -> None:
    times = ["2026-01-30T23:59:59Z", "2026-01-31T00:00:00Z", "2026-01-31T23:59:00+00:00", "2026-02-01", None, "soon"]
    state = MemoryState.create(small_config())
    for number, (time, text) in enumerate(zip(times, (*OTHERS, ANA, ANA_TOO, "Rain."), strict=True)):
        engine.observe(state, encode_observations(text, occurred_at=time), first_seq=Seq(number + 1))
    after, _ = forget(state, occurred_from="2026-01-31", occurred_to="2026-01-31")
    assert texts_of(after) == [OTHERS[0], ANA, ANA_TOO, "Rain."]


def test_a_pattern_whose_first_exemplar_goes_stands_on_the_next_one() -> None:
    near = "The nightly build finished without any error on all four platforms today."
    state = MemoryState.create(small_config(surprise_gate=0.9))
    engine.observe(state, encode_observations(near, near.replace("any error", "errors")), first_seq=Seq(1))
    assert state.pattern_count == 1
    after, receipt = forget(state, seq_to=1)
    (kept,) = encode_texts(texts_of(after))
    torch.testing.assert_close(after.bank.units.keys_uD, torch.from_numpy(kept.keys_SD))
    assert (receipt.patterns_removed, receipt.exemplars_removed) == (0, 1)
    with pytest.raises(Unavailable) as raised:
        engine.forget(state, NAME, ForgetSelection(seq_to=1))
    assert raised.value.code == "FORGET_INTERRUPTED"


def test_everything_can_be_forgotten(state: MemoryState) -> None:
    after, receipt = forget(state, seq_from=0)
    assert (after.pattern_count, receipt.patterns_removed) == (0, 5)
    assert engine.infer(after, NAME, encode_texts([ANA])[0], InferOptions()).patterns == ()


def test_nothing_chosen_leaves_the_same_memory_and_measures_nothing(state: MemoryState) -> None:
    after, receipt = forget(state, subject="Zanzibar")
    assert texts_of(after) == texts_of(state)
    assert (receipt.exemplars_removed, receipt.surprise_after, receipt.recall_after) == (0, None, None)


@pytest.mark.parametrize(
    "selection", [{}, {"subject": "the of"}, {"subject": "x" * 2000}, {"occurred_from": "yesterday"}]
)
def test_a_selection_without_sense_is_refused(state: MemoryState, selection: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        engine.cut(state, ForgetSelection(**selection))
