"""Reading everything again: every document, blob and journal frame that a memory or a volume reaches. Changes nothing.

Works beside a writer: what vanishes while it is looked at was pruned, and is damage only if a manifest that is still
there names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memory_core.errors import CorruptData, InvalidInput, NeuralMemoryError, NotFound
from memory_core.ids import MemoryName
from memory_core.storage import keys
from memory_core.storage.blobs import BlobRef, get_bytes
from memory_core.storage.catalog import MemoryEntry, memory_not_found
from memory_core.storage.documents import read_document
from memory_core.storage.journal import read_run
from memory_core.storage.manifest import Checkpoint, Head
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.reach import shared_blobs
from memory_core.storage.terms_files import parse_terms
from memory_core.storage_results import Damage, VerifyReport

_RESTORE = "Bring the object back from a backup of the volume, or go back to a checkpoint that is whole."


class Verifier:
    """Collects what one run found."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._damages: dict[str, Damage] = {}
        self._objects = 0
        self._bytes = 0

    def memory(self, name: MemoryName) -> VerifyReport:
        """All that one memory reaches; NotFound when there is none."""
        entry = self._document(keys.name(name), "memory", MemoryEntry.from_dict)
        if entry is None and not self._damages:
            raise memory_not_found(name)
        if entry is not None:
            self._owned(entry.uid)
        return self._report(name)

    def rest(self) -> VerifyReport:
        """What belongs to no single memory: the volume's document, all names, blobs that no manifest reaches."""
        self._document(keys.volume(), "volume", dict)
        for item in self._store.list_objects(keys.NAMES):
            self._document(item.key, "memory", MemoryEntry.from_dict)
        reached: set[str] = set()
        for item in self._store.list_objects(keys.MEMORIES):
            try:
                reached |= shared_blobs(self._store, item.key)
            except (CorruptData, InvalidInput):
                continue  # the memory's own verification names it
        for item in self._store.list_objects(keys.BLOBS):
            if item.key not in reached:
                self._blob(BlobRef(item.key, keys.last_part(item.key), item.size_bytes), lambda: False)
        return self._report(None)

    def _owned(self, uid: str) -> None:
        for item in self._store.list_objects(keys.epochs(uid)):
            self._document(item.key, "epoch", dict)
        for item in self._store.list_objects(keys.all_terms(uid)):
            self._document(item.key, "terms", parse_terms)
        seen: set[str] = set()
        for item in self._store.list_objects(keys.checkpoints(uid)):
            found = self._document(item.key, "checkpoint", Checkpoint.from_dict)
            self._blobs(item.key, list((found.snapshot.blobs or {}).values()) if found else [], seen)
        later: Head | None = None
        for item in reversed(self._store.list_objects(keys.heads(uid))):
            head = self._document(item.key, "head", Head.from_dict)
            if head is not None:
                answers = [] if head.answers is None else [head.answers]
                self._blobs(item.key, [*(head.snapshot.blobs or {}).values(), *answers], seen)
                self._journal(item.key, uid, head, later)
                later = head

    def _document(self, key: str, kind: str, parse: Callable[[dict[str, Any]], Any]) -> Any:
        """The parsed document; None when it is damaged or was removed meanwhile."""
        try:
            found = read_document(self._store, key, kind, parse)
        except NotFound:
            return None
        except (CorruptData, InvalidInput) as error:
            self._note(key, error)
            found = None
        self._objects += 1
        return found

    def _blobs(self, manifest: str, refs: list[BlobRef], seen: set[str]) -> None:
        for ref in refs:
            if ref.key not in seen:
                seen.add(ref.key)
                self._blob(ref, lambda: self._store.exists(manifest))

    def _blob(self, ref: BlobRef, is_needed: Callable[[], bool]) -> None:
        try:
            self._bytes += len(get_bytes(self._store, ref))
        except CorruptData as error:
            if not self._store.exists(ref.key) and not is_needed():
                return
            self._note(ref.key, error)
        self._objects += 1

    def _journal(self, manifest: str, uid: str, head: Head, later: Head | None) -> None:
        """What follows a head, up to where a later one begins anew."""
        for run in head.runs:
            is_open = run.last_seq is None and later is not None
            if is_open and (later is None or later.epoch != head.epoch or not later.runs):
                continue  # a later head closed this run, and has it
            end_segment = later.runs[-1].first_segment if later is not None and is_open else None
            try:
                for _ in read_run(self._store, uid, run, end_segment):
                    pass
            except (CorruptData, NotFound, ValueError, KeyError, TypeError) as error:
                if self._store.exists(manifest):
                    self._note(_key_of(error, keys.journal(uid, run.epoch)), error)
            for item in self._store.list_objects(f"{keys.journal(uid, run.epoch)}/"):
                self._objects += 1
                self._bytes += item.size_bytes

    def _note(self, key: str, error: Exception) -> None:
        is_ours = isinstance(error, NeuralMemoryError)
        cause = (
            error.message if isinstance(error, NeuralMemoryError) else f"It cannot be read ({type(error).__name__})."
        )
        next_step = error.hint if is_ours and isinstance(error, CorruptData) and error.hint else _RESTORE
        self._damages.setdefault(key, Damage(key=key, cause=cause, next_step=next_step))

    def _report(self, name: MemoryName | None) -> VerifyReport:
        return VerifyReport(
            memory=name,
            is_intact=not self._damages,
            objects_checked=self._objects,
            bytes_checked=self._bytes,
            damages=tuple(self._damages.values()),
        )


def _key_of(error: Exception, otherwise: str) -> str:
    known = error.context.get("key") if isinstance(error, NeuralMemoryError) else None
    return str(known) if known else otherwise
