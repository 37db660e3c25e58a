"""States of any memory of a volume, read from its checkpoints without owning it."""

from __future__ import annotations

from memory_core.config import MemoryConfig
from memory_core.errors import CorruptData, NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.state import MemoryState, StateParts
from memory_core.storage.blobs import get_group
from memory_core.storage.checkpoints import CheckpointShelf
from memory_core.storage.manifest import Snapshot
from memory_core.storage.object_store import ObjectStore


class StoredStates:
    """Reads checkpoints as states. Thread-safe; blocks."""

    def __init__(self, store: ObjectStore, shelf: CheckpointShelf, device: str = "cpu") -> None:
        self._store = store
        self._shelf = shelf
        self._device = device

    def newest_tag(self, name: MemoryName) -> Tag:
        """The newest checkpoint's tag; NotFound (MEMORY_NOT_FOUND, or CHECKPOINT_NOT_FOUND when there is none)."""
        page = self._shelf.list_page(name, limit=1)
        if page.checkpoints:
            return page.checkpoints[0].tag
        raise NotFound(
            f"Memory {name} has no checkpoint.",
            code="CHECKPOINT_NOT_FOUND",
            hint="Checkpoint it first: another memory is read from its checkpoints.",
            memory=name,
        )

    def load(self, name: MemoryName, tag: Tag) -> MemoryState:
        """The state under a tag; NotFound or CorruptData."""
        found = self._shelf.find(name, tag)
        return load_state(self._store, found.config, found.snapshot, self._device, of=name)


def load_state(
    store: ObjectStore, config: MemoryConfig, snapshot: Snapshot, device: str = "cpu", *, of: str
) -> MemoryState:
    """The state of a snapshot, every hash checked. ``of``: whose it is; CorruptData names that when it does not fit."""
    if snapshot.blobs is None:
        state = MemoryState.create(config, device)
    else:
        groups = {group: get_group(store, ref) for group, ref in snapshot.blobs.items()}
        state = MemoryState.from_parts(config, StateParts(groups, snapshot.header), device)
    if state.weight_hash() != snapshot.weight_hash:
        raise CorruptData(
            f"The stored state of {of} does not match the weight hash of its manifest.",
            hint="Use another checkpoint, or the version that wrote it.",
        )
    return state
