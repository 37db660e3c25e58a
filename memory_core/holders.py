"""Where a forgotten thing still is: published versions of a memory, and the memories made from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memory_core.consolidation.selection import Chooser
from memory_core.ids import PatternId
from memory_core.results import Exemplar, ForgetReceipt, ForgetSelection
from memory_core.storage.object_store import ObjectStore
from memory_core.storage.reach import forks_of, versions_holding

_NO_PATTERN = PatternId(-1)


def with_holders(
    receipt: ForgetReceipt, store: ObjectStore, selection: ForgetSelection, removed: Sequence[Exemplar], language: str
) -> ForgetReceipt:
    """The receipt with what keeps the removed texts, or others that the selection means. Reads every version."""
    texts, chooser = {item.text for item in removed}, Chooser(selection, language)

    def is_held(item: Exemplar) -> bool:
        # Pattern ids of another version may mean something else; its texts do not.
        return item.text in texts or (not selection.patterns and chooser.chooses(item, _NO_PATTERN))

    tags = versions_holding(store, receipt.memory, is_held)
    return replace(
        receipt,
        checkpoints_holding=tags,
        forks_holding=forks_of(store, receipt.memory, frozenset(tags)) if tags else (),
    )
