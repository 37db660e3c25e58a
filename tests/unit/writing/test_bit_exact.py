"""Checkpoint, restore and go on equals never having stopped, bit for bit, whatever the fast weights are."""

import uuid
from typing import Any

import pytest

from memory_core.ids import MemoryName, Tag
from memory_core.results import ObserveOptions
from memory_core.storage.ram_store import RamStore
from memory_core.testing.small_memory import tiny_config, tiny_observations
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter

NAME = MemoryName("m")
VARIANTS: dict[str, dict[str, Any]] = {
    "sparse": {},
    "linear recursive": {"variant": "linear"},
    "linear delta": {"variant": "linear", "linear_rule": "delta"},
    "linear ttt": {"variant": "linear", "linear_rule": "ttt"},
    "mlp": {"variant": "mlp"},
    "titans": {"variant": "titans"},
    "titans with momentum": {"variant": "titans", "momentum_decay": 0.9, "forget_gate": 0.01, "gates": "surprise"},
}


def learn(writer: MemoryWriter, days: range) -> str:
    for day in days:
        batch = tiny_observations(*[f"day {day} number {number}" for number in range(1 + day % 4)])
        writer.observe(batch, ObserveOptions())
    return writer.stats().weight_hash


@pytest.mark.parametrize("variant", VARIANTS)
def test_checkpoint_restore_and_continue_equals_never_having_stopped(variant: str) -> None:
    store, straight_store = RamStore(uuid.uuid4().hex), RamStore(uuid.uuid4().hex)
    for volume in (Volume(store), Volume(straight_store)):
        volume.create(NAME, tiny_config(**VARIANTS[variant]))
    straight = learn(MemoryWriter.open(straight_store, NAME), range(20))

    writer = MemoryWriter.open(store, NAME)
    learn(writer, range(8))
    writer.checkpoint(Tag("here"))
    learn(writer, range(100, 106))
    writer.restore(Tag("here"))
    assert learn(writer, range(8, 20)) == straight

    reopened = MemoryWriter.open(store, NAME)
    assert reopened.stats().weight_hash == straight
    reopened.close()
    assert MemoryWriter.open(store, NAME).stats().weight_hash == straight

    Volume(store).fork(NAME, Tag("here"), MemoryName("fork"))
    assert learn(MemoryWriter.open(store, MemoryName("fork")), range(8, 20)) == straight


@pytest.mark.parametrize(
    ("variant", "has_momentum"),
    [("sparse", True), ("linear recursive", True), ("titans with momentum", True), ("mlp", False), ("titans", False)],
)
def test_without_momentum_only_the_next_steps_differ(variant: str, has_momentum: bool) -> None:
    store = RamStore(uuid.uuid4().hex)
    Volume(store).create(NAME, tiny_config(**VARIANTS[variant]))
    writer = MemoryWriter.open(store, NAME)
    learn(writer, range(8))
    whole = writer.checkpoint(Tag("whole"))
    light = writer.checkpoint(Tag("light"), include_momentum=False)
    assert (light.weight_hash != whole.weight_hash) is has_momentum
    before = {name: tensor.clone() for name, tensor in writer._memory.state.fast_weights.items()}
    assert writer.restore(Tag("whole"), restore_momentum=False).weight_hash == light.weight_hash
    after = writer._memory.state.fast_weights
    changed = {name for name in before if not before[name].equal(after[name])}
    assert all(name.startswith(("momentum", "variance", "covariance")) for name in changed)
    assert MemoryWriter.open(store, NAME).stats().weight_hash == light.weight_hash
