"""The fast sparse update equals its equations, one pair at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.networks.product_keys import ProductKeys
from memory_core.networks.sparse import SparseNetwork
from memory_core.networks.sparse_reference import update_one
from tests.unit.networks.pairs import DEVICES, copy_of, pairs, small_config, unit_rows


@pytest.mark.parametrize("device", DEVICES)
@given(count=st.integers(1, 90), distinct=st.integers(1, 90), seed=st.integers(0, 1000), step_size=st.floats(0.01, 1.0))
def test_a_chunk_equals_the_single_steps(device: str, count: int, distinct: int, seed: int, step_size: float) -> None:
    config = small_config()
    network = SparseNetwork(config, torch.device(device))
    warm_keys, warm_values = pairs(40, seed + 1, device=device)
    weights, _, _ = network.update(network.initial(), warm_keys, warm_values, 1.0)
    single = copy_of(weights)
    keys_ND, values_NV = pairs(count, seed, distinct=distinct, device=device)
    rows_NK, activations_NK = ProductKeys(config, torch.device(device)).address(keys_ND)
    expected = [
        update_one(single, rows_K, activations_K, value_V, step_size)
        for rows_K, activations_K, value_V in zip(rows_NK, activations_NK, values_NV, strict=True)
    ]
    chunked, losses_N, _ = network.update(weights, keys_ND, values_NV, step_size)
    torch.testing.assert_close(losses_N.cpu(), torch.tensor(expected), rtol=1e-4, atol=1e-5)
    for name, tensor in chunked.items():
        torch.testing.assert_close(tensor, single[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=25)
@given(cut=st.integers(1, 59), seed=st.integers(0, 1000))
def test_two_chunks_equal_one(device: str, cut: int, seed: int) -> None:
    network = SparseNetwork(small_config(), torch.device(device))
    keys_ND, values_NV = pairs(60, seed, distinct=50, device=device)
    whole, _, _ = network.update(network.initial(), keys_ND, values_NV, 1.0)
    halves, _, _ = network.update(network.initial(), keys_ND[:cut], values_NV[:cut], 1.0)
    halves, _, _ = network.update(halves, keys_ND[cut:], values_NV[cut:], 1.0)
    for name, tensor in whole.items():
        torch.testing.assert_close(tensor, halves[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("heads", "side", "active"), [(1, 2, 3), (2, 3, 18), (4, 6, 4), (4, 6, 12), (1, 7, 20)])
def test_an_address_is_the_best_rows_of_every_head(device: str, heads: int, side: int, active: int) -> None:
    config = small_config(rows=heads * side * side, heads=heads, active_rows=active)
    product_keys = ProductKeys(config, torch.device(device))
    keys_ND = unit_rows(20, 3, device=device)
    rows_NK, activations_NK = product_keys.address(keys_ND)
    halves = (keys_ND @ product_keys.codes_DC).view(20, heads, 2, side)
    all_NR = (halves[:, :, 0, :, None] + halves[:, :, 1, None, :]).flatten(2)
    best = all_NR.topk(active // heads, dim=-1)
    expected_NK = (best.indices + torch.arange(heads, device=device)[:, None] * side**2).flatten(1)
    assert torch.equal(rows_NK, expected_NK)
    assert torch.allclose(activations_NK.norm(dim=-1), torch.ones(20, device=device))
    raw_NK = best.values.clamp_min(1e-6).flatten(1)
    torch.testing.assert_close(activations_NK, torch.nn.functional.normalize(raw_NK, dim=-1), rtol=1e-4, atol=1e-5)
