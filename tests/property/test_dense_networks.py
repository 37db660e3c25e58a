"""The fast forms of linear, mlp and titans equal their equations, one pair at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.networks import linear_reference
from memory_core.networks.layered import LayeredNetwork
from memory_core.networks.layered_reference import update_one_by_one
from memory_core.networks.network import FastWeights
from memory_core.networks.variants import open_network
from tests.unit.networks.pairs import DEVICES, VARIANT_SETTINGS, copy_of, pairs, small_config

EXACT = ["delta", "gated-delta", "recursive"]
LAYERED = [name for name in VARIANT_SETTINGS if name not in {*EXACT, "sparse"}]


def assert_close(left: FastWeights, right: FastWeights) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=20)
@given(count=st.integers(1, 90), distinct=st.integers(1, 90), seed=st.integers(0, 99), step_size=st.floats(0.05, 1.0))
def test_a_linear_chunk_equals_the_single_steps(
    name: str, device: str, count: int, distinct: int, seed: int, step_size: float
) -> None:
    config = small_config(**VARIANT_SETTINGS[name])
    network = open_network(config, torch.device(device))
    weights, _, _ = network.update(network.initial(), *pairs(20, seed + 1, device=device), 1.0)
    single = copy_of(weights)
    keys_ND, values_NV = pairs(count, seed, distinct=distinct, device=device)
    expected = [
        linear_reference.update_one(config, single, key_D, value_V, step_size)
        for key_D, value_V in zip(keys_ND, values_NV, strict=True)
    ]
    chunked, losses_N, _ = network.update(weights, keys_ND, values_NV, step_size)
    torch.testing.assert_close(losses_N.cpu(), torch.tensor(expected), rtol=1e-3, atol=1e-4)
    assert_close(chunked, single)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LAYERED)
@settings(max_examples=8)
@given(count=st.integers(1, 70), distinct=st.integers(1, 70), seed=st.integers(0, 99), step_size=st.floats(0.05, 1.0))
def test_the_dual_form_of_a_mini_batch_equals_its_single_steps(
    name: str, device: str, count: int, distinct: int, seed: int, step_size: float
) -> None:
    network = open_network(small_config(**VARIANT_SETTINGS[name]), torch.device(device))
    assert isinstance(network, LayeredNetwork)
    weights, _, _ = network.update(network.initial(), *pairs(20, seed + 1, device=device), 0.5)
    keys_ND, values_NV = pairs(count, seed, distinct=distinct, device=device)
    expected, expected_losses = update_one_by_one(network, copy_of(weights), keys_ND, values_NV, step_size)
    chunked, losses_N, _ = network.update(weights, keys_ND, values_NV, step_size)
    torch.testing.assert_close(losses_N.cpu(), torch.tensor(expected_losses), rtol=1e-3, atol=1e-4)
    assert_close(chunked, expected)
