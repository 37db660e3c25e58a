"""The highest scores of a row."""

import numpy as np
import pytest

from memory_core.patterns.highest import highest, highest_of


@pytest.mark.parametrize("width", [3, 8, 63, 512, 1_000, 5_003])
@pytest.mark.parametrize("count", [1, 8, 64])
def test_the_highest_are_found_in_ascending_order(width: int, count: int) -> None:
    scores_PX = np.random.default_rng(width).permuted(np.tile(np.arange(width), (3, 1)), axis=1)
    expected_PC = np.sort(np.argsort(scores_PX, axis=1)[:, -count:], axis=1)
    np.testing.assert_array_equal(highest(scores_PX.astype(np.float32), count), expected_PC)


def test_of_equal_scores_the_same_are_taken_alone_and_together() -> None:
    scores_PX = np.random.default_rng(0).integers(0, 50, size=(5, 2_000)).astype(np.float32)
    together_PC = highest(scores_PX, 8)
    alone_PC = np.concatenate([highest(row_X[None], 8) for row_X in scores_PX])
    np.testing.assert_array_equal(alone_PC, together_PC)


@pytest.mark.parametrize("width", [3, 8, 63, 512, 1_000, 5_003])
@pytest.mark.parametrize("count", [1, 8, 64])
def test_the_highest_of_one_row_are_found_too(width: int, count: int) -> None:
    scores_n = np.random.default_rng(width).permutation(width).astype(np.float32)
    found_k = highest_of(scores_n, count)
    np.testing.assert_array_equal(found_k, np.sort(np.argsort(scores_n)[-count:]))
