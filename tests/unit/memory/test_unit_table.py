"""Units of patterns: the best of a pattern's own, whatever order they were given away in."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from memory_core.patterns.unit_table import UnitTable

SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=12)


def filled(sizes: list[int], released: list[int]) -> UnitTable:
    units = UnitTable(64, 2, torch.device("cpu"))
    for slot, size in enumerate(sizes):
        units.own(range(slot, slot + 1), torch.rand(size, 2), [size])
    for slot in dict.fromkeys(number % len(sizes) for number in released):
        units.release(slot)
        units.own(range(slot, slot + 1), torch.rand(1 + slot % 3, 2), [1 + slot % 3])
    return units


@given(SIZES, st.lists(st.integers(0, 11), max_size=3))
def test_the_best_of_each_pattern_is_found(sizes: list[int], released: list[int]) -> None:
    units = filled(sizes, released)
    scores_Qu = np.random.default_rng(0).random((3, units.used), dtype=np.float32)
    expected_Qn = np.stack([scores_Qu[:, units.units_of(slot)].max(axis=1) for slot in range(len(sizes))], axis=1)
    np.testing.assert_array_equal(units.best_per_pattern(scores_Qu), expected_Qn)
    again = UnitTable(64, 2, torch.device("cpu"))
    again.load(units.keys_uD.clone(), units.owner_u.copy())
    np.testing.assert_array_equal(again.best_per_pattern(scores_Qu), expected_Qn)


@given(SIZES, st.lists(st.integers(0, 11), max_size=3), st.lists(st.integers(0, 11), min_size=1, max_size=5))
def test_the_scores_of_some_patterns_are_those_of_all(sizes: list[int], released: list[int], asked: list[int]) -> None:
    units, queries_QD = filled(sizes, released), torch.rand(2, 2)
    slots_k = np.array([number % len(sizes) for number in asked])
    every_Qn = units.best_per_pattern(units.scores(queries_QD))
    np.testing.assert_allclose(units.scores_of(slots_k, queries_QD), every_Qn[:, slots_k], rtol=1e-5)


@given(SIZES, SIZES, st.lists(st.integers(0, 11), max_size=3))
def test_giving_units_to_several_slots_at_once_is_as_to_one_after_the_other(
    sizes: list[int], more: list[int], released: list[int]
) -> None:
    together, alone = filled(sizes, released), filled(sizes, released)
    keys_SD, slots = torch.rand(sum(more), 2), range(len(sizes), len(sizes) + len(more))
    if together.free_count < sum(more):
        return
    for units in (together, alone):
        units.release(0)
    together.own(slots, keys_SD, more)
    for slot, own_SD in zip(slots, keys_SD.split(more), strict=True):
        alone.own(range(slot, slot + 1), own_SD, [len(own_SD)])
    np.testing.assert_array_equal(together.owner_u, alone.owner_u)
    assert [together.units_of(slot) for slot in slots] == [alone.units_of(slot) for slot in slots]
    for slot in slots:
        assert torch.equal(together.keys_UD[together.units_of(slot)], alone.keys_UD[alone.units_of(slot)])
    assert together.free_count == alone.free_count
