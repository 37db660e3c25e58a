"""Gates follow the stream: count, surprise, momentum and forgetting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memory_core.networks.gates import GateRule, Gates, Progress, coefficients_of

LOSSES = np.array([0.1, 1.0, 4.0])
KEYS = torch.eye(3)


def rule(kind: str = "constant", momentum_decay: float = 0.0, forget_gate: float = 0.0) -> GateRule:
    return GateRule(kind, 1.0, momentum_decay, forget_gate, 100.0)  # type: ignore[arg-type]


def test_constant_gates_ignore_the_stream() -> None:
    gates = rule(forget_gate=0.5).gates(Progress(1000, 3.0), LOSSES, KEYS)
    assert gates.step_size_B.tolist() == [1.0] * 3
    assert gates.forget_gate_B.tolist() == [0.5] * 3


def test_an_annealed_step_is_halved_after_as_many_pairs_as_the_features_are_wide() -> None:
    gates = rule("annealed").gates(Progress(100, 1.0), LOSSES, KEYS)
    assert gates.step_size_B == pytest.approx([1 / 2, 1 / 2.01, 1 / 2.02])


def test_a_surprising_pair_gets_the_larger_step_and_forgets_more() -> None:
    gates = rule("surprise", momentum_decay=0.9, forget_gate=0.1).gates(Progress(0, 1.0), LOSSES, KEYS)
    assert gates.step_size_B[0] < gates.step_size_B[1]
    assert np.all(np.diff(gates.forget_gate_B) > 0)
    assert np.all(np.diff(gates.momentum_decay_B) < 0)
    assert np.all(gates.momentum_decay_B <= 0.9)
    assert np.all(gates.forget_gate_B <= 0.1)


def test_momentum_shares_one_step_among_its_repetitions() -> None:
    gates = rule(momentum_decay=0.9).gates(Progress(0, 1.0), LOSSES, KEYS)
    total = gates.step_size_B[0] * sum(0.9**age for age in range(500))
    assert total == pytest.approx(1.0)


def test_the_mean_surprise_follows_the_losses() -> None:
    progress = Progress(0, 1.0)
    for _ in range(300):
        progress = progress.after(np.array([0.2, 0.2]))
    assert progress.pair_count == 600
    assert progress.surprise_mean == pytest.approx(0.2, abs=1e-3)


def test_coefficients_unroll_the_recurrence_of_titans() -> None:
    eta, alpha = np.array([0.5, 0.0, 0.9]), np.array([0.1, 0.2, 1.0])
    coefficients = coefficients_of(Gates(np.ones(3), eta, alpha))
    rng = np.random.default_rng(0)
    gradients, momentum, memory = rng.normal(size=3), 0.7, -1.3
    met = np.array([*-gradients, momentum, memory])
    for t in range(3):
        momentum = eta[t] * momentum - gradients[t]
        memory = (1 - alpha[t]) * memory + momentum
        assert coefficients.weights_BC[t] @ met == pytest.approx(memory)
    assert coefficients.momentum_C @ met == pytest.approx(momentum)
