"""What every variant of the fast weights promises, on every device and in both number formats."""

from __future__ import annotations

import math

import pytest
import torch

from memory_core.errors import InvalidInput, LearningFailed
from memory_core.networks.linear import REPAIR_EVERY
from memory_core.networks.network import FastWeights, Network
from memory_core.networks.variants import open_network
from tests.unit.networks.pairs import (
    DEVICES,
    KEY_DIM,
    VARIANT_SETTINGS,
    assert_same_bits,
    copy_of,
    pairs,
    small_config,
    unit_rows,
)

every_device = pytest.mark.parametrize("device", DEVICES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
every_variant = pytest.mark.parametrize("name", VARIANT_SETTINGS)


def open_small(name: str, device: str, dtype: str = "float32") -> Network:
    return open_network(small_config(**VARIANT_SETTINGS[name], dtype=dtype), torch.device(device))


def learn(network: Network, weights: FastWeights, seed: int, device: str, count: int = 12) -> FastWeights:
    return network.update(weights, *pairs(count, seed, device=device), 1.0)[0]


@every_device
@every_dtype
@every_variant
def test_what_was_learned_is_recalled(name: str, dtype: str, device: str) -> None:
    network = open_small(name, device, dtype)
    keys_ND, values_NV = pairs(8, 1, device=device)
    weights = network.initial()
    for _ in range(4):
        weights, _, _ = network.update(weights, keys_ND, values_NV, 1.0)
    nearest_N = (network.read(weights, keys_ND) @ values_NV.T).argmax(dim=-1)
    assert nearest_N.tolist() == list(range(8))


@every_device
@every_dtype
@every_variant
def test_repeating_a_pair_makes_it_less_surprising(name: str, dtype: str, device: str) -> None:
    network = open_small(name, device, dtype)
    weights = learn(network, network.initial(), 1, device)
    key_1D, value_1V = pairs(1, 2, device=device)
    losses = []
    for _ in range(6):
        weights, losses_N, norms_N = network.update(weights, key_1D, value_1V, 1.0)
        losses.append(float(losses_N))
        assert losses_N.shape == norms_N.shape == (1,)
    assert losses[-1] < 0.5 * losses[0]


@every_device
@every_variant
def test_a_pair_repeated_within_one_call_stays_stable(name: str, device: str) -> None:
    network = open_small(name, device)
    key_1D, value_1V = pairs(1, 3, device=device)
    weights, losses_N, _ = network.update(network.initial(), key_1D.expand(200, -1), value_1V.expand(200, -1), 1.0)
    error = float((network.read(weights, key_1D) - value_1V).square().sum())
    assert error < 0.3 * float(losses_N[0])


@every_device
@every_dtype
@every_variant
def test_a_copied_state_resumes_with_the_same_bits(name: str, dtype: str, device: str) -> None:
    network = open_small(name, device, dtype)
    weights = learn(network, network.initial(), 4, device)
    resumed = learn(open_small(name, device, dtype), copy_of(weights), 5, device)
    assert_same_bits(learn(network, weights, 5, device), resumed)


@every_device
@every_dtype
@every_variant
def test_learning_keeps_names_shapes_and_types(name: str, dtype: str, device: str) -> None:
    network = open_small(name, device, dtype)
    before = {key: (tensor.shape, tensor.dtype) for key, tensor in network.initial().items()}
    after = learn(network, network.initial(), 6, device)
    assert {key: (tensor.shape, tensor.dtype) for key, tensor in after.items()} == before
    assert any(dtype_ == getattr(torch, dtype) for _, dtype_ in before.values())


@every_device
@every_variant
def test_bfloat16_learns_what_float32_learns_from_the_same_start_but_for_rounding(name: str, device: str) -> None:
    start = learn(open_small(name, device, "bfloat16"), open_small(name, device, "bfloat16").initial(), 15, device)
    wide = {key: tensor.float() if tensor.dtype == torch.bfloat16 else tensor.clone() for key, tensor in start.items()}
    size = 16
    rounded = learn(open_small(name, device, "bfloat16"), start, 16, device, size)
    exact = learn(open_small(name, device), wide, 16, device, size)
    for key, tensor in exact.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(rounded[key].float(), tensor.float(), rtol=2**-7, atol=2**-8)
        else:
            assert torch.equal(rounded[key], tensor)


@every_device
@every_variant
def test_reading_changes_nothing(name: str, device: str) -> None:
    network = open_small(name, device)
    weights = learn(network, network.initial(), 7, device)
    before = copy_of(weights)
    network.read(weights, unit_rows(5, 1, device=device))
    assert_same_bits(weights, before)


@every_device
@every_variant
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e38])
@pytest.mark.parametrize("count", [1, 300])
def test_a_number_that_is_not_finite_never_enters_the_weights(name: str, device: str, bad: float, count: int) -> None:
    network = open_small(name, device)
    weights = learn(network, network.initial(), 8, device)
    before = copy_of(weights)
    for place in ("key", "value"):
        keys_ND, values_NV = (tensor.clone() for tensor in pairs(count, 9, device=device))
        (keys_ND if place == "key" else values_NV)[-1, 0] = bad
        if bad == 1e38:
            values_NV[-1] = bad
        with pytest.raises(LearningFailed):
            network.update(weights, keys_ND, values_NV, 1.0)
        assert_same_bits(weights, before)


@every_device
@pytest.mark.parametrize("name", ["ttt-linear", "mlp", "titans-2", "titans-4", "titans-momentum"])
def test_a_huge_step_fails_and_leaves_the_weights_alone(name: str, device: str) -> None:
    network = open_small(name, device)
    weights = learn(network, network.initial(), 10, device)
    before = copy_of(weights)
    with pytest.raises(LearningFailed):
        network.update(weights, *pairs(100, 11, device=device), 1e30)
    assert_same_bits(weights, before)


@every_device
@every_variant
def test_a_smaller_step_changes_less(name: str, device: str) -> None:
    network = open_small(name, device)
    large, small = (network.update(network.initial(), *pairs(1, 12, device=device), step)[2] for step in (1.0, 0.1))
    assert 0 < float(small) < float(large)


@every_device
def test_the_covariance_of_least_squares_is_repaired_now_and_then(device: str) -> None:
    network = open_small("recursive", device)
    weights = learn(network, network.initial(), 13, device)
    weights["covariance_DD"][0, 1] += 1e-3
    weights["pair_count_1"].fill_(REPAIR_EVERY - 6)
    repaired = learn(network, weights, 14, device)["covariance_DD"]
    assert torch.equal(repaired, repaired.T)
    assert float(torch.linalg.eigvalsh(repaired).min()) > 0


@every_variant
def test_the_same_seed_gives_the_same_start(name: str) -> None:
    assert_same_bits(open_small(name, "cpu").initial(), open_small(name, "cpu").initial())


def test_nothing_is_forgotten_unless_a_memory_asks_for_it() -> None:
    config = small_config()
    assert (config.forget_gate, config.momentum_decay) == (0.0, 0.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"variant": "sparse", "momentum_decay": 0.9},
        {"variant": "sparse", "forget_gate": 0.1},
        {"variant": "linear", "gates": "surprise"},
        {"variant": "linear", "linear_rule": "recursive", "forget_gate": 0.1},
        {"variant": "titans", "depth": 5},
        {"variant": "titans", "depth": 0},
        {"variant": "titans", "momentum_decay": 1.0},
        {"variant": "dense"},
        {"dtype": "float16"},
        {"gates": "learned"},
        {"variant": "linear", "gates": "learned"},
        {"variant": "titans", "gates": "guessed"},
    ],
)
def test_settings_that_a_variant_would_ignore_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        small_config(**settings)


def test_a_titans_memory_of_depth_three_has_four_times_wider_hidden_layers() -> None:
    weights = open_network(small_config(variant="titans", depth=3), torch.device("cpu")).initial()
    widths = [tuple(weights[f"weight{depth}_IO"].shape) for depth in range(3)]
    assert widths == [(KEY_DIM, 4 * KEY_DIM), (4 * KEY_DIM, 4 * KEY_DIM), (4 * KEY_DIM, KEY_DIM)]
