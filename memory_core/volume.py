"""All memories of one storage volume: create, list, delete, fork, and open one for writing. Thread-safe; blocks."""

from __future__ import annotations

from functools import lru_cache

from memory_core.config import MemoryConfig
from memory_core.ids import MemoryName, Seq, Tag
from memory_core.portable import archive_head, blob_of, json_lines, require_sound_state, snapshot_of
from memory_core.results import CheckpointPage, ForkResult, MemoryInfo, MemoryPage
from memory_core.state import MemoryState
from memory_core.storage.archive import ArchiveHead, Member
from memory_core.storage.blobs import get_bytes
from memory_core.storage.catalog import Catalog, MemoryEntry
from memory_core.storage.checkpoints import CheckpointShelf
from memory_core.storage.lineage import NEW_LINEAGE
from memory_core.storage.manifest import Snapshot
from memory_core.storage.object_store import ObjectStore
from memory_core.storage_results import ImportResult
from memory_core.writer import MemoryWriter, WriterSettings


class Volume:
    """What can be done to memories without owning one. Every method raises NeuralMemoryError subclasses only."""

    def __init__(self, store: ObjectStore, settings: WriterSettings | None = None) -> None:
        self.store = store
        self._settings = settings or WriterSettings()
        self._catalog = Catalog(store)
        self._shelf = CheckpointShelf(store, self._catalog)

    def create(self, name: MemoryName, config: MemoryConfig) -> MemoryInfo:
        """An empty memory; Conflict (MEMORY_EXISTS) when the name is taken. Writes no tensors."""
        return self._catalog.create(name, config, initial_snapshot(config), self._now())

    def find(self, name: MemoryName) -> MemoryEntry:
        """What the name means now; NotFound (MEMORY_NOT_FOUND)."""
        return self._catalog.find(name)

    def list_memories(self, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """A page of memories in name order."""
        return self._catalog.list_memories(limit, cursor)

    def delete(self, name: MemoryName) -> None:
        """Fence its writer and remove the memory; blobs that other memories may reach stay."""
        self._catalog.delete(name)

    def list_checkpoints(
        self, name: MemoryName, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """A page of checkpoints, newest first."""
        return self._shelf.list_page(name, prefix, limit, cursor)

    def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """A new memory from a checkpoint; copies no tensor bytes and needs no owner."""
        return self._shelf.fork(name, tag, new_name, self._now())

    def export_head(self, name: MemoryName, tag: Tag) -> ArchiveHead:
        """The manifest of an archive of a checkpoint; NotFound (MEMORY_NOT_FOUND, CHECKPOINT_NOT_FOUND)."""
        found = self._shelf.find(name, tag)
        return archive_head(name, tag, found.description, found.config, found.snapshot)

    def export_member(self, member: Member) -> bytes:
        """Checked bytes of a file of an archive."""
        return get_bytes(self.store, blob_of(member))

    def export_lines(self, head: ArchiveHead) -> bytes:
        """The state as readable lines of JSON."""
        return json_lines(self.store, head)

    def import_member(self, member: Member, data: bytes) -> None:
        """Store the checked bytes of a file of an archive, where a manifest may name them."""
        self.store.put(blob_of(member).key, data)

    def import_memory(self, name: MemoryName, head: ArchiveHead) -> ImportResult:
        """Publish a memory whose files were all imported, after loading it once. InvalidInput, or Conflict."""
        require_sound_state(self.store, head)
        snapshot = snapshot_of(head)
        self._catalog.create(name, MemoryConfig.from_dict(head.config), snapshot, self._now())
        return ImportResult(
            memory=name,
            source=head.memory if head.tag is None else f"{head.memory}@{head.tag}",
            weight_hash=snapshot.weight_hash,
            observation_count=snapshot.observation_count,
            pattern_count=snapshot.pattern_count,
        )

    def require_free(self, name: MemoryName) -> None:
        """Conflict (MEMORY_EXISTS) when the name is taken."""
        self._catalog.require_free(name)

    def open_writer(self, name: MemoryName) -> MemoryWriter:
        """Own the memory; see ``MemoryWriter.open``."""
        return MemoryWriter.open(self.store, name, self._settings)

    def _now(self) -> str:
        return self._settings.clock().isoformat()


@lru_cache(maxsize=256)
def initial_snapshot(config: MemoryConfig) -> Snapshot:
    """The snapshot of a memory that has learned nothing: no blobs, only the hash that its config must lead to."""
    state = MemoryState.create(config)
    return Snapshot(
        seq=Seq(0),
        weight_hash=state.weight_hash(),
        observation_count=0,
        pattern_count=0,
        lineage=NEW_LINEAGE,
        header={},
        blobs=None,
    )
