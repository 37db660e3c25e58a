"""Reading by the compiled loops gives what the plain forms give, and arrays that do not fit are refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import engine, kernels
from memory_core.ids import Seq
from memory_core.kernels import Kernels
from memory_core.patterns.channels import score_patterns, standardise
from memory_core.patterns.unit_table import UnitTable
from memory_core.patterns.word_table import words_of_text
from memory_core.results import CHANNELS, Channel
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config
from tests.unit.memory.test_kernels import floats, needs_compiled, numbers

UNITS = 48
NAMES = ("Ann", "Ben", "Cleo")
WORDS = ("toner", "printer", "castle", "monday", "report", "harbour", "garden", "violin")


def small_numbers(*shape: int, of: int = 0) -> np.ndarray:
    return np.full(shape, of, dtype=np.int32)


def random_state(seed: int, patterns: int) -> MemoryState:
    """Texts of few words, some of a speaker, with links of all kinds between them."""
    numbers_of = np.random.default_rng(seed)
    state = MemoryState.create(small_config(surprise_gate=0.0, units=UNITS))
    texts = [
        f"{numbers_of.choice(NAMES)}: {' '.join(numbers_of.choice(WORDS, size=3))} {position}."
        for position in range(patterns)
    ]
    engine.observe(state, encode_observations(*texts, session="s"), first_seq=Seq(1))
    for source, target in numbers_of.integers(state.pattern_count, size=(2 * patterns, 2)).tolist():
        state.transitions.link(source, target, float(numbers_of.integers(1, 5)))
    return state


@needs_compiled
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    patterns=st.integers(1, UNITS - 8),
    channels=st.sets(st.sampled_from(CHANNELS), min_size=1),
    is_without=st.booleans(),
)
def test_patterns_score_the_same(seed: int, patterns: int, channels: set[Channel], is_without: bool) -> None:
    state, text = random_state(seed, patterns), "Ann: which castle and garden is the printer in on monday?"
    state.channel_weights_C = np.random.default_rng(seed).uniform(0.5, 2.0, len(CHANNELS))
    keys_SD, words = torch.from_numpy(encode_texts([text])[0].keys_SD), words_of_text(text, "english")
    without = 0 if is_without else None
    found = score_patterns(state, keys_SD, words, tuple(channels), without=without)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "compiled", None)
        expected = score_patterns(state, keys_SD, words, tuple(channels), without=without)
    np.testing.assert_allclose(found.total_n, expected.total_n, rtol=1e-4, atol=1e-4)
    assert found.parts.keys() == expected.parts.keys() == channels
    for name, part_n in expected.parts.items():
        np.testing.assert_allclose(found.parts[name], part_n, rtol=1e-4, atol=1e-4)


@needs_compiled
def test_neighbours_lend_what_they_have() -> None:
    state, text = random_state(3, 30), "printer"
    keys_SD = torch.from_numpy(encode_texts([text])[0].keys_SD)
    parts = score_patterns(state, keys_SD, words_of_text(text, "english")).parts
    assert (parts["context"] > 0).any()
    assert len(set(parts["words"].tolist())) > len(WORDS)


@needs_compiled
@pytest.mark.parametrize("is_mixed", [False, True])
def test_slots_score_the_same(monkeypatch: pytest.MonkeyPatch, is_mixed: bool) -> None:
    units, keys_UD = UnitTable(12, 20, torch.device("cpu")), torch.randn(12, 20)
    units.own(range(5), keys_UD[:10], [2] * 5)
    if is_mixed:
        units.release(1)
        units.own(range(1, 2), keys_UD[10:], [2])
    slots_k, queries_QD = np.array([0, 1, 4]), torch.randn(3, 20)
    found_Qk = units.scores_of(slots_k, queries_QD)
    monkeypatch.setattr(kernels, "compiled", None)
    np.testing.assert_allclose(found_Qk, units.scores_of(slots_k, queries_QD), rtol=1e-4, atol=1e-5)


@needs_compiled
@pytest.mark.parametrize("count", [0, 1, 15, 16, 100, 1_003])
@pytest.mark.parametrize("spread", [0.0, 1.0, 50.0])
def test_scores_are_standardised_the_same(monkeypatch: pytest.MonkeyPatch, count: int, spread: float) -> None:
    scores_n = (np.random.default_rng(count).standard_normal(count) * spread + 3.0).astype(np.float32)
    standard_n = standardise(scores_n)
    monkeypatch.setattr(kernels, "compiled", None)
    np.testing.assert_allclose(standard_n, standardise(scores_n), rtol=1e-4, atol=1e-5)


def lend(loops: Kernels, *, target: int = -1, strongest: int = 0, entry: int = 0, length: int = 1) -> None:
    links_2UL, room = small_numbers(8, 2, of=-1), floats(3, 4)
    links_2UL[0, 0] = target
    given = (numbers(1, of=length), numbers(1, of=entry), floats(1))
    loops.lend(numbers(1, of=strongest), links_2UL, floats(8, 2), floats(5, 2), *given, *room)


def score_slots(
    loops: Kernels,
    *,
    starts: tuple[int, ...] = (0, 2, 3),
    order_w: np.ndarray | None = None,
    dim: int = 4,
    slots: int = 1,
) -> None:
    best_Qk = floats(1, 1)
    loops.score_slots(floats(1, dim), floats(3, 4), order_w, np.array(starts), numbers(slots, of=1), best_Qk)


def score_postings(loops: Kernels, *, posted_E: np.ndarray, entries: int = 1) -> None:
    into = numbers(entries), floats(entries)
    loops.score_postings(posted_E, numbers(1, of=1), floats(1), small_numbers(3), 1.0, 1.0, *into)


@needs_compiled
@pytest.mark.parametrize(
    "call",
    [
        lambda loops: lend(loops, target=4),
        lambda loops: lend(loops, strongest=4),
        lambda loops: lend(loops, strongest=-1),
        lambda loops: lend(loops, entry=4),
        lambda loops: lend(loops, length=2),
        lambda loops: lend(loops, length=-1),
        lambda loops: score_slots(loops, starts=(0, 2, 4)),
        lambda loops: score_slots(loops, starts=(0, 2, 2)),
        lambda loops: score_slots(loops, starts=(0, 2)),
        lambda loops: score_slots(loops, order_w=numbers(3, of=3)),
        lambda loops: score_slots(loops, dim=5),
        lambda loops: score_slots(loops, slots=2),
        lambda loops: loops.standardise(floats(3), floats(2)),
        lambda loops: loops.mark_number(small_numbers(3), 1, floats(2)),
        lambda loops: loops.mark_number(small_numbers(3), 1 << 40, floats(3)),
        lambda loops: score_postings(loops, posted_E=numbers(1, of=3 << 8)),
        lambda loops: score_postings(loops, posted_E=numbers(1, of=-1)),
        lambda loops: score_postings(loops, posted_E=numbers(2), entries=2),
        lambda loops: score_postings(loops, posted_E=numbers(1), entries=2),
        lambda loops: loops.add_by_slot(numbers(1, of=4), floats(1), floats(4)),
        lambda loops: loops.add_by_slot(numbers(1, of=-1), floats(1), floats(4)),
        lambda loops: loops.add_by_slot(numbers(2), floats(1), floats(4)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(call: Callable[[Kernels], None]) -> None:
    assert kernels.compiled is not None
    with pytest.raises(ValueError, match=r"fit|order|outside"):
        call(kernels.compiled)


@needs_compiled
def test_arrays_that_fit_are_taken() -> None:
    assert kernels.compiled is not None
    lend(kernels.compiled, target=3, entry=3)
    score_slots(kernels.compiled)
    score_postings(kernels.compiled, posted_E=numbers(1, of=2 << 8))
