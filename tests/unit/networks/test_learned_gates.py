"""Gates that a memory learns from its own stream."""

from __future__ import annotations

import math

import pytest
import torch

from memory_core.networks import gate_learning
from memory_core.networks.gate_learning import hyper_loss, learn_gates
from memory_core.networks.gates import GateRule, Progress
from memory_core.networks.layered import LayeredNetwork
from memory_core.networks.learned_gates import LOGIT_MAX, PARAMETER_MAX, PARAMETERS, gate_features, gate_values
from memory_core.networks.network import FastWeights
from memory_core.networks.variants import open_network
from tests.unit.networks.pairs import DEVICES, KEY_DIM, VARIANT_SETTINGS, assert_same_bits, copy_of, pairs, small_config

LEARNED = ["ttt-learned", "mlp-learned", "titans-learned"]
every_device = pytest.mark.parametrize("device", DEVICES)
every_network = pytest.mark.parametrize("name", LEARNED)


def open_learned(name: str, device: str = "cpu", dtype: str = "float32") -> LayeredNetwork:
    network = open_network(small_config(**VARIANT_SETTINGS[name], dtype=dtype), torch.device(device))
    assert isinstance(network, LayeredNetwork)
    return network


def with_parameters(weights: FastWeights, seed: int, spread: float = 0.5) -> FastWeights:
    generator = torch.Generator().manual_seed(seed)
    moved_GF = spread * torch.randn(weights[PARAMETERS].shape, generator=generator)
    return weights | {PARAMETERS: moved_GF.to(weights[PARAMETERS])}


@every_network
def test_parameters_that_learned_nothing_anneal_the_step(name: str) -> None:
    network = open_learned(name)
    rule = network.gate_rule(1.0, network.initial())
    keys_ND, values_NV = pairs(40, 1)
    gates = rule.gates(Progress(100, 1.0), values_NV.square().sum(-1).double().numpy(), keys_ND)
    momentum, forget = rule.momentum_decay, rule.forget_gate
    width, count = rule.anneal_width, 101 + torch.arange(40)
    expected = rule.step_size * (1 - momentum) / (1 + count / width)
    torch.testing.assert_close(torch.from_numpy(gates.step_size_B), expected.double(), rtol=1e-5, atol=0)
    assert gates.momentum_decay_B == pytest.approx([momentum] * 40)
    assert gates.forget_gate_B == pytest.approx([forget] * 40)


def test_a_gate_that_is_not_used_stays_unused() -> None:
    features_BF = torch.ones(3, 5)
    theta_B, eta_B, alpha_B = gate_values(torch.full((3, 5), PARAMETER_MAX), features_BF, (0.7, 0.0, 0.0), 0, 10.0)
    assert eta_B.tolist() == alpha_B.tolist() == [0.0] * 3
    assert bool((theta_B <= 0.7).all())


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_no_parameter_makes_a_gate_leave_its_range(sign: float) -> None:
    features_BF = torch.full((2, 2000), 1e6)
    gates = gate_values(torch.full((3, 2000), sign * PARAMETER_MAX), features_BF, (0.5, 0.9, 0.01), 10**9, 10.0)
    for gate_B, top in zip(gates, (0.5, 1.0, 1.0), strict=True):
        assert bool(((gate_B >= 0) & (gate_B <= top)).all())
    assert math.exp(-LOGIT_MAX) < 1e-12


def test_the_key_the_count_and_the_surprise_move_a_gate() -> None:
    keys_BD = torch.eye(KEY_DIM)[:2]
    features_BF = gate_features(keys_BD, torch.tensor([0.1, 10.0]), 50, 1.0, 100.0)
    assert features_BF.shape == (2, KEY_DIM + 3)
    assert features_BF[0, 1] < features_BF[1, 1]
    assert features_BF[0, 2] < 0 < features_BF[1, 2]
    parameters_GF = torch.zeros(3, KEY_DIM + 3)
    parameters_GF[0, 3] = 2.0
    theta_B, _, _ = gate_values(parameters_GF, features_BF, (1.0, 0.0, 0.0), 50, 100.0)
    assert theta_B[0] > 1.3 * theta_B[1]


@every_device
@every_network
def test_the_closed_derivative_is_that_of_the_loss_after_the_step(name: str, device: str) -> None:
    network = open_learned(name, device)
    weights = with_parameters(network.initial(), 1, 0.2)
    weights = network.update(weights, *pairs(30, 2, device=device), 1.0)[0]
    keys_BD, values_BV = pairs(min(12, network.recipe.mini_batch), 3, device=device)
    seen_SD, told_SV = pairs(20, 2, device=device)

    def outer(parameters_GF: torch.Tensor) -> float:
        moved, _, _ = network.update(copy_of(weights) | {PARAMETERS: parameters_GF}, keys_BD, values_BV, 1.0)
        errors_SV = network.read(moved, seen_SD) - told_SV
        share = 1.0 if network.recipe.shape.head == "plain" else 0.5
        return share * float(errors_SV.double().square().sum(-1).mean())

    start_GF = weights[PARAMETERS]
    after, _, _ = network.update(copy_of(weights), keys_BD, values_BV, 1.0)
    pull = gate_learning._outer_gradient(network, after, seen_SD, told_SV)
    leaf_GF = start_GF.double().clone().requires_grad_()
    hyper_loss(network, weights, leaf_GF, keys_BD, values_BV, pull).backward()
    direction_GF = leaf_GF.grad / leaf_GF.grad.norm()
    step = 0.02
    up, down = (outer(start_GF + sign * step * direction_GF.float()) for sign in (1, -1))
    assert (up - down) / (2 * step) == pytest.approx(float(leaf_GF.grad.norm()), rel=0.03)


@every_device
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@every_network
def test_a_lesson_moves_only_the_parameters_and_never_for_the_worse(name: str, dtype: str, device: str) -> None:
    network = open_learned(name, device, dtype)
    keys_ND, values_NV = pairs(160, 5, distinct=120, device=device)
    weights = network.update(network.initial(), keys_ND, values_NV, 1.0)[0]
    before, shares = copy_of(weights), []
    learned, lesson = learn_gates(network, weights, keys_ND, values_NV, shares.append)
    assert_same_bits(weights, before)
    assert list(learned) == [PARAMETERS]
    assert shares == sorted(shares)
    assert bool(learned[PARAMETERS].abs().max() <= PARAMETER_MAX)
    is_moved = not torch.equal(learned[PARAMETERS], before[PARAMETERS])
    assert is_moved == (lesson.after < lesson.before)
    again, _ = learn_gates(network, weights, keys_ND, values_NV)
    assert_same_bits(again, learned)


def test_a_bad_start_is_learned_away() -> None:
    network = open_learned("mlp-learned")
    keys_ND, values_NV = pairs(300, 6)
    bad = network.initial()
    bad[PARAMETERS][0, 0] = -4.0
    learned, lesson = learn_gates(network, bad, keys_ND, values_NV)
    assert lesson.has_helped
    assert float(learned[PARAMETERS][0, 0]) > -4.0


def test_a_few_pairs_teach_no_gates() -> None:
    network = open_learned("titans-learned")
    weights = with_parameters(network.initial(), 2)
    learned, lesson = learn_gates(network, weights, *pairs(20, 7))
    assert_same_bits(learned, {PARAMETERS: weights[PARAMETERS]})
    assert not lesson.has_helped


def test_pairs_that_are_not_finite_change_no_parameter() -> None:
    network = open_learned("titans-learned")
    weights, (keys_ND, values_NV) = network.initial(), pairs(300, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_learning, "_left_over", lambda *_: math.nan)
        learned, lesson = learn_gates(network, weights, keys_ND, values_NV)
    assert not lesson.has_helped
    assert_same_bits(learned, {PARAMETERS: weights[PARAMETERS]})


def test_learned_gates_without_parameters_are_a_mistake() -> None:
    rule = GateRule("learned", 1.0, 0.0, 0.0, 10.0)
    with pytest.raises(ValueError, match="parameters"):
        rule.gates(Progress(0, 1.0), torch.ones(1).double().numpy(), torch.eye(3)[:1])
