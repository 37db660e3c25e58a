"""Elastic weight consolidation: old pairs hold on to their weights."""

from __future__ import annotations

import pytest
import torch

from memory_core.networks.ewc import Anchor, DenseNetwork, anchor_at, pull_back
from memory_core.networks.network import FastWeights, Network
from memory_core.networks.variants import open_network
from tests.unit.networks.pairs import DEVICES, VARIANT_SETTINGS, assert_same_bits, copy_of, pairs, small_config

every_device = pytest.mark.parametrize("device", DEVICES)
every_dense_variant = pytest.mark.parametrize("name", ["delta", "recursive", "ttt-linear", "mlp", "titans-2"])


def dense(name: str, device: str) -> DenseNetwork:
    network = open_network(small_config(**VARIANT_SETTINGS[name]), torch.device(device))
    assert isinstance(network, DenseNetwork)
    return network


def with_old_pairs(network: Network, device: str) -> FastWeights:
    return network.update(network.initial(), *pairs(10, 1, device=device), 1.0)[0]


@every_device
@every_dense_variant
def test_the_penalty_keeps_old_answers_while_new_pairs_are_learned(name: str, device: str) -> None:
    network = dense(name, device)
    start = with_old_pairs(network, device)
    old_keys_ND = pairs(10, 1, device=device)[0]
    answers_NV = network.read(start, old_keys_ND)
    anchor = anchor_at(network, start, old_keys_ND)
    drifts = []
    for penalty in (0.0, 30.0):
        weights = copy_of(start)
        for seed in range(2, 8):
            weights = network.update(weights, *pairs(10, seed, device=device), 0.5)[0]
            weights = pull_back(weights, anchor, penalty)
        drifts.append(float((network.read(weights, old_keys_ND) - answers_NV).square().sum()))
    assert drifts[1] < 0.3 * drifts[0]


@every_device
@every_dense_variant
def test_a_penalty_of_zero_changes_nothing(name: str, device: str) -> None:
    network = dense(name, device)
    weights = with_old_pairs(network, device)
    anchor = anchor_at(network, network.initial(), pairs(4, 2, device=device)[0])
    assert_same_bits(pull_back(weights, anchor, 0.0), weights)


@every_device
@every_dense_variant
def test_a_huge_penalty_returns_to_the_anchor(name: str, device: str) -> None:
    network = dense(name, device)
    start = with_old_pairs(network, device)
    anchor = anchor_at(network, start, pairs(30, 1, device=device)[0])
    moved = network.update(copy_of(start), *pairs(10, 3, device=device), 1.0)[0]
    pulled = pull_back(moved, anchor, 1e12)
    for weight_name in anchor.fisher:
        torch.testing.assert_close(pulled[weight_name], start[weight_name], rtol=1e-3, atol=1e-3)


def test_an_earlier_anchor_stays_in_the_fisher_information() -> None:
    network = dense("mlp", "cpu")
    weights = with_old_pairs(network, "cpu")
    first = anchor_at(network, weights, pairs(4, 1)[0])
    second = anchor_at(network, weights, pairs(4, 2)[0])
    both = anchor_at(network, weights, pairs(4, 2)[0], before=first, decay=0.5)
    for name, fisher in both.fisher.items():
        torch.testing.assert_close(fisher, second.fisher[name] + 0.5 * first.fisher[name])


def test_the_anchor_is_a_copy() -> None:
    network = dense("titans-2", "cpu")
    weights = with_old_pairs(network, "cpu")
    anchor: Anchor = anchor_at(network, weights, pairs(4, 1)[0])
    before = copy_of(anchor.weights)
    for tensor in weights.values():
        tensor.zero_()
    assert_same_bits(anchor.weights, before)


def test_sparse_rows_protect_themselves() -> None:
    assert not isinstance(open_network(small_config(), torch.device("cpu")), DenseNetwork)
