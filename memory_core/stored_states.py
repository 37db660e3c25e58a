"""States of any memory of a volume, read from its checkpoints without owning it."""

from __future__ import annotations

from memory_core.errors import CorruptData, NotFound
from memory_core.ids import MemoryName, Tag
from memory_core.state import MemoryState, StateParts
from memory_core.storage.blobs import get_group
from memory_core.storage.checkpoints import CheckpointShelf
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
        if found.snapshot.blobs is None:
            return MemoryState.create(found.config, self._device)
        groups = {group: get_group(self._store, ref) for group, ref in found.snapshot.blobs.items()}
        state = MemoryState.from_parts(found.config, StateParts(groups, found.snapshot.header), self._device)
        if state.weight_hash() != found.snapshot.weight_hash:
            raise CorruptData(
                f"The checkpoint {tag} of {name} does not match its weight hash.",
                hint="Use another checkpoint, or the version that wrote it.",
                memory=name,
            )
        return state
