"""The compiled loops give what the plain forms give, and refuse arrays that do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from memory_core import kernels
from memory_core.kernels import Kernels
from memory_core.networks import layers
from memory_core.networks.codes import code_matches, value_codes
from memory_core.networks.layers import Shape
from memory_core.networks.product_keys import ProductKeys
from memory_core.networks.sparse import SparseNetwork
from memory_core.patterns.highest import highest
from tests.unit.networks.pairs import copy_of, pairs, small_config, unit_rows

CPU = torch.device("cpu")
needs_compiled = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")


def plainly(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any]) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "compiled", None)
        return call()


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no compiler")
def test_where_there_is_a_compiler_they_are_compiled() -> None:
    assert kernels.compiled is not None


@needs_compiled
@pytest.mark.parametrize(("heads", "side", "count"), [(1, 2, 3), (2, 3, 9), (4, 6, 4), (16, 32, 8), (1, 7, 20)])
def test_the_same_rows_are_chosen(monkeypatch: pytest.MonkeyPatch, heads: int, side: int, count: int) -> None:
    config = small_config(rows=heads * side * side, heads=heads, active_rows=heads * count)
    addresses, keys_ND = ProductKeys(config, CPU), unit_rows(40, 5)
    rows_NK, activations_NK = addresses.address_arrays(keys_ND)
    expected_NK, expected_activations_NK = plainly(monkeypatch, lambda: addresses.address_arrays(keys_ND))
    assert rows_NK.tolist() == expected_NK.tolist()
    np.testing.assert_allclose(activations_NK, expected_activations_NK, rtol=1e-5, atol=1e-6)


@needs_compiled
@pytest.mark.parametrize("value_dim", [8, 64, 100, 384])
def test_codes_have_the_same_bits(monkeypatch: pytest.MonkeyPatch, value_dim: int) -> None:
    ids_N, value_V = np.array([0, 1, 7, 1 << 40]), np.random.default_rng(1).standard_normal(value_dim, dtype=np.float32)
    codes_NV = value_codes(ids_N, value_dim, 3)
    assert torch.equal(codes_NV, plainly(monkeypatch, lambda: value_codes(ids_N, value_dim, 3)))
    matches_N = code_matches(ids_N, value_V, 3)
    np.testing.assert_allclose(matches_N, codes_NV.numpy() @ value_V, atol=1e-5)
    np.testing.assert_allclose(matches_N, plainly(monkeypatch, lambda: code_matches(ids_N, value_V, 3)), atol=1e-5)


@needs_compiled
@pytest.mark.parametrize("count", [1, 3, 70])
def test_the_same_is_learned_and_read(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    network = SparseNetwork(small_config(), CPU)
    weights, _, _ = network.update(network.initial(), *pairs(40, 1), 1.0)
    keys_ND, values_NV = pairs(count, 2, distinct=max(1, count // 2))
    copies = copy_of(weights)
    _, expected_losses_N, expected_norms_N = plainly(
        monkeypatch, lambda: network.update(copies, keys_ND, values_NV, 0.7)
    )
    _, losses_N, norms_N = network.update(weights, keys_ND, values_NV, 0.7)
    torch.testing.assert_close(losses_N, expected_losses_N, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norms_N, expected_norms_N, rtol=1e-4, atol=1e-5)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, copies[name], rtol=1e-4, atol=1e-5)
    expected_NV = plainly(monkeypatch, lambda: network.read(weights, keys_ND))
    torch.testing.assert_close(network.read(weights, keys_ND), expected_NV, rtol=1e-4, atol=1e-5)


@needs_compiled
def test_pairs_are_learned_with_the_same_bits_alone_and_together() -> None:
    config = small_config()
    keys_ND, values_NV = pairs(30, 4, distinct=9)
    rows_NK, activations_NK = ProductKeys(config, CPU).address_arrays(keys_ND)

    def learned(*parts: slice) -> list[np.ndarray]:
        assert kernels.compiled is not None
        weights = SparseNetwork(config, CPU).initial()
        table_RV, variance_R, told_N = weights["rows_RV"].numpy(), weights["variance_R"].numpy(), floats(2, 30)
        for part in parts:
            given = (rows_NK[part], activations_NK[part], values_NV[part].numpy(), told_N[0, part], told_N[1, part])
            assert kernels.compiled.step_pairs(table_RV, variance_R, *given, 1.0) == len(rows_NK[part])
        return [table_RV, variance_R, told_N]

    together, alone = learned(slice(0, 30)), learned(*(slice(row, row + 1) for row in range(30)))
    assert all((one == other).all() for one, other in zip(together, alone, strict=True))


@needs_compiled
@pytest.mark.parametrize("width", [5, 16, 17, 40, 1_000])
def test_of_equal_scores_the_first_are_the_highest(width: int) -> None:
    scores_PX = np.random.default_rng(width).integers(0, 6, size=(4, width)).astype(np.float32)
    expected_PK = np.sort(np.argsort(-scores_PX, axis=1, kind="stable")[:, :4], axis=1)
    np.testing.assert_array_equal(highest(scores_PX, 4), expected_PK)


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, dtype=np.float32)


def numbers(*shape: int, of: int = 0) -> np.ndarray:
    return np.full(shape, of, dtype=np.int64)


@needs_compiled
@pytest.mark.parametrize(
    "call",
    [
        lambda loops: loops.scan_codes(floats(1, 4), np.zeros((3, 5), np.int8), floats(3), floats(1, 3)),
        lambda loops: loops.scan_codes(floats(1, 4), np.zeros((3, 4), np.int16), floats(3), floats(1, 3)),
        lambda loops: loops.code_keys(floats(2, 4), np.zeros((2, 4), np.int8), floats(3)),
        lambda loops: loops.best_of_runs(floats(1, 4), np.array([0, 2, 5]), floats(1, 2)),
        lambda loops: loops.best_of_runs(floats(1, 4), np.array([0, 2, 2]), floats(1, 2)),
        lambda loops: loops.highest_of_rows(floats(1, 4), numbers(1, 5)),
        lambda loops: loops.highest_of_rows(floats(2, 8)[:, ::2], numbers(2, 2)),
        lambda loops: loops.choose_rows(floats(1, 1, 2, 2), numbers(1, 1, 5), floats(1, 1, 5)),
        lambda loops: loops.read_pairs(floats(8, 4), numbers(1, 2, of=8), floats(1, 2), floats(1, 4)),
        lambda loops: loops.read_pairs(floats(8, 4), numbers(1, 2, of=-1), floats(1, 2), floats(1, 4)),
        lambda loops: loops.value_codes(numbers(2), 0, floats(3, 8)),
        lambda loops: loops.code_matches(numbers(2), 0, floats(8), floats(3)),
        lambda loops: loops.squared_lengths(floats(2, 8), floats(3)),
        lambda loops: loops.silu_and_slope(floats(2, 8), 0.2, floats(2, 8), floats(2, 7)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(call: Callable[[Kernels], None]) -> None:
    assert kernels.compiled is not None
    with pytest.raises(ValueError, match=r"fit|dimensions|order|outside|contiguous"):
        call(kernels.compiled)


@needs_compiled
def test_a_wrong_number_of_arguments_is_refused() -> None:
    loops: Any = kernels.compiled
    with pytest.raises(TypeError, match="4 arguments are wanted, 1 were given"):
        loops.scan_codes(floats(1, 4))


@needs_compiled
def test_the_activation_and_its_slope_are_those_of_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(widths=(8, 16, 8), activation="silu", head="plain")
    extremes = torch.tensor([0.0, -0.0, 1e-30, 88.0, -88.0, 1e4, -1e4, 3e38, -3e38])
    z_NO = torch.cat([torch.linspace(-30, 30, 999), extremes])[None]
    found, wanted = (
        layers._active_and_slope(shape, z_NO),
        plainly(monkeypatch, lambda: layers._active_and_slope(shape, z_NO)),
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
