"""Tensors by content: stored once, checked when read."""

import uuid

import pytest
import torch

from memory_core.errors import CorruptData
from memory_core.storage.blobs import BlobRef, TensorGroup, get_group, pack_group, put_private, put_shared, shared_ref
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, Operation, flip_bit, truncate

GROUP = {
    "weights": torch.tensor([[1.5, -0.0], [float("nan"), 3e-39]]),
    "ids": torch.tensor([1, 2, 3]),
    "empty": torch.zeros(0, 4),
    "half": torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
}


@pytest.fixture
def store() -> ObjectStore:
    return RamStore(uuid.uuid4().hex)


def stored(store: ObjectStore, group: TensorGroup) -> BlobRef:
    data = pack_group(group)
    put_shared(store, shared_ref(data), data)
    return shared_ref(data)


def test_a_group_comes_back_bit_by_bit(store: ObjectStore) -> None:
    read = get_group(store, stored(store, GROUP))
    assert read.keys() == GROUP.keys()
    for name, tensor in GROUP.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
    assert pack_group(read) == pack_group(GROUP)


def test_equal_tensors_are_written_once(store: ObjectStore) -> None:
    writes: list[Operation] = []
    counting = FaultyStore(store, lambda operation: writes.append(operation) if operation.is_write else None)
    first = stored(counting, GROUP)
    count = len(writes)
    second = stored(counting, {name: tensor.clone() for name, tensor in reversed(GROUP.items())})
    assert first == second
    assert len(writes) == count


@pytest.mark.parametrize("position", [3, 100, 801, 10_001])
def test_a_flipped_bit_is_never_served(store: ObjectStore, position: int) -> None:
    ref = stored(store, GROUP)
    flip_bit(store, ref.key, position)
    with pytest.raises(CorruptData, match="does not match its hash"):
        get_group(store, ref)


def test_a_truncated_or_missing_blob_is_never_served(store: ObjectStore) -> None:
    ref = stored(store, GROUP)
    truncate(store, ref.key, ref.size_bytes - 1)
    with pytest.raises(CorruptData):
        get_group(store, ref)
    store.delete(ref.key)
    with pytest.raises(CorruptData, match="is missing"):
        get_group(store, ref)


def test_a_private_blob_is_not_shared(store: ObjectStore) -> None:
    private = put_private(store, "memories/u/state/1/weights.safetensors", pack_group(GROUP))
    shared = stored(store, GROUP)
    assert (private.is_shared, shared.is_shared) == (False, True)
    assert BlobRef.from_dict(private.to_dict()) == private
