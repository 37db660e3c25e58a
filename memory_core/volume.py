"""All memories of one storage volume: create, list, delete, fork, and open one for writing. Thread-safe; blocks."""

from __future__ import annotations

from functools import lru_cache

from memory_core.config import MemoryConfig
from memory_core.ids import Epoch, MemoryName, Seq, Tag, shown_name
from memory_core.portable import (
    archive_head,
    blob_of,
    json_lines,
    load_archived,
    members_of,
    require_sound_state,
    snapshot_of,
)
from memory_core.results import CheckpointPage, ForkResult, MemoryInfo, MemoryPage
from memory_core.state import MemoryState
from memory_core.storage.archive import ArchiveHead, Member
from memory_core.storage.blobs import get_bytes
from memory_core.storage.catalog import Catalog, MemoryEntry
from memory_core.storage.checkpoints import CheckpointShelf
from memory_core.storage.collect import collect_garbage
from memory_core.storage.lineage import NEW_LINEAGE
from memory_core.storage.manifest import Snapshot
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.retention import expired, read_policy, write_policy
from memory_core.storage.terms_files import delete_expired, write_terms
from memory_core.storage.verify import Verifier
from memory_core.storage_results import CollectResult, ImportResult, PruneResult, RetentionPolicy, VerifyReport
from memory_core.terms import MemoryTerms
from memory_core.writer import MemoryWriter, WriterSettings


class Volume:
    """What can be done to memories without owning one. Every method raises NeuralMemoryError subclasses only."""

    def __init__(self, store: ObjectStore, settings: WriterSettings | None = None) -> None:
        self.store = store
        self._settings = settings or WriterSettings()
        self._catalog = Catalog(store)
        self._shelf = CheckpointShelf(store, self._catalog)

    def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """An empty memory; Conflict (MEMORY_EXISTS) when the name is taken. Writes no tensors."""
        wanted = terms or MemoryTerms()

        def prepare(uid: str) -> None:
            if wanted != MemoryTerms():
                write_terms(self.store, uid, name, Epoch(0), wanted.starting(self._settings.clock()))

        return self._catalog.create(name, config, initial_snapshot(config), self._now(), prepare=prepare)

    def delete_expired(self) -> list[MemoryName]:
        """Delete the memories whose time is over; their names."""
        return delete_expired(self.store, self._settings.clock())

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
        return archive_head(name, tag, found.description, found.config, found.snapshot, members_of(found.snapshot))

    def export_member(self, member: Member) -> bytes:
        """Checked bytes of a file of an archive."""
        return get_bytes(self.store, blob_of(member))

    def export_lines(self, head: ArchiveHead) -> bytes:
        """The state as readable lines of JSON."""
        return json_lines(head, load_archived(self.store, head))

    def import_member(self, member: Member, data: bytes) -> None:
        """Store the checked bytes of a file of an archive, where a manifest may name them."""
        self.store.put(blob_of(member).key, data)

    def import_memory(self, name: MemoryName, head: ArchiveHead) -> ImportResult:
        """Publish a memory whose files were all imported, after loading it once. InvalidInput, or Conflict."""
        snapshot = snapshot_of(head)
        with self._shelf.holding(snapshot):
            require_sound_state(self.store, head)
            self._catalog.create(name, MemoryConfig.from_dict(head.config), snapshot, self._now())
        return ImportResult(
            memory=name,
            source=shown_name(head.memory) if head.tag is None else f"{shown_name(head.memory)}@{head.tag}",
            weight_hash=snapshot.weight_hash,
            observation_count=snapshot.observation_count,
            pattern_count=snapshot.pattern_count,
        )

    def verify(self, name: MemoryName | None) -> VerifyReport:
        """Read everything again that a memory reaches, or all that belongs to no single memory. Changes nothing."""
        verifier = Verifier(self.store)
        return verifier.rest() if name is None else verifier.memory(name)

    def delete_checkpoint(self, name: MemoryName, tag: Tag) -> None:
        """Unpublish a version; its blobs stay for the garbage collection. NotFound."""
        self._shelf.delete(name, tag)

    def retention(self, name: MemoryName) -> RetentionPolicy:
        """By which rules ``prune`` works."""
        return read_policy(self.store, self.find(name).uid)

    def set_retention(self, name: MemoryName, policy: RetentionPolicy) -> RetentionPolicy:
        """Replace the rules; deletes nothing."""
        write_policy(self.store, self.find(name).uid, policy)
        return policy

    def prune(self, name: MemoryName, policy: RetentionPolicy | None, is_dry_run: bool) -> PruneResult:
        """Unpublish versions that no rule keeps, oldest first."""
        every = self._shelf.newest_first(name)
        gone = expired(every, policy or self.retention(name), self._settings.clock())
        for item in reversed(gone) if not is_dry_run else ():
            self._shelf.delete(name, item.tag, must_exist=False)
        removed = tuple(item.tag for item in gone)
        return PruneResult(memory=name, is_dry_run=is_dry_run, removed=removed, kept_count=len(every) - len(gone))

    def collect_garbage(self, grace_s: float, is_dry_run: bool) -> CollectResult:
        """Delete what nothing reaches; see ``storage.collect``."""
        return collect_garbage(self.store, grace_s, is_dry_run=is_dry_run)

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
