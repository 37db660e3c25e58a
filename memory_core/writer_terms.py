"""The part of a writer that changes what a memory's life is like: its terms, and its end."""

from __future__ import annotations

import threading
from abc import ABC

from memory_core.errors import ReadOnly
from memory_core.ids import MemoryName
from memory_core.memory_owner import MemoryOwner
from memory_core.owned_memory import OwnedMemory
from memory_core.storage.catalog import Catalog
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.terms_files import write_terms
from memory_core.terms import MemoryTerms, TermsChange, Versions, require_version


class WriterTerms(ABC):
    """Methods of a writer. What names versions is compared inside the lane, where nothing else changes the memory."""

    _name: MemoryName
    _store: ObjectStore
    _memory: OwnedMemory
    _owner: MemoryOwner
    _lane: threading.Lock

    @property
    def terms(self) -> MemoryTerms:
        """What of the memory may change."""
        return self._owner.terms

    def change(self, change: TermsChange, only_if: Versions | None = None) -> MemoryTerms:
        """Change the terms; durable when it returns. PreconditionFailed, InvalidInput, Fenced."""
        with self._lane:
            self._require_version(only_if)
            terms = self.terms.changed(change, self._memory.now)
            files = self._memory.files
            # Looked at before, so that a zombie rarely writes; and after, so that the answer is true.
            self._owner.require_ownership()
            write_terms(self._store, files.uid, self._name, files.epoch, terms)
            self._owner.require_ownership()
            self._owner.terms = terms
            return terms

    def delete(self, only_if: Versions) -> None:
        """Delete the memory while it has one of the versions; PreconditionFailed, Fenced."""
        with self._lane:
            self._require_version(only_if)
            Catalog(self._store).delete(self._name, last_epoch=self._memory.files.epoch)
            self._owner.give_way()

    def _require_version(self, only_if: Versions | None) -> None:
        """Inside the lane: raise unless the memory serves and has one of the versions."""
        self._owner.require_serving()
        if only_if is not None:
            require_version(self._name, self._memory.weight_hash(), only_if)

    def _require_learning(self, instead: str) -> None:
        if self._memory.config.is_read_only:
            raise ReadOnly("This memory does not learn: its learning rate is 0.", hint=instead)
        if self.terms.is_read_only:
            raise ReadOnly("This memory is read-only.", hint=f"{instead} Or change it: read_only false.")
