"""Memories in and out of a volume: what an archive says of a state, and a state from what an archive says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from memory_core.config import MemoryConfig
from memory_core.errors import CorruptData, InvalidInput, NeuralMemoryError
from memory_core.ids import BlobId, shown_name
from memory_core.results import Exemplar
from memory_core.state import MemoryState
from memory_core.storage import keys
from memory_core.storage.archive import ArchiveHead, Member
from memory_core.storage.blobs import BlobRef
from memory_core.storage.manifest import Snapshot
from memory_core.storage.object_store import ObjectStore
from memory_core.stored_states import load_state


def archive_head(
    memory: str,
    tag: str | None,
    description: str,
    config: MemoryConfig,
    snapshot: Snapshot,
    members: tuple[Member, ...] | None,
) -> ArchiveHead:
    """The manifest of an archive of a state."""
    facts = snapshot.to_dict()
    del facts["blobs"], facts["size_bytes"]
    return ArchiveHead(
        memory=shown_name(memory),
        tag=tag,
        description=description,
        config=config.to_dict(),
        facts=facts,
        members=members,
    )


def members_of(snapshot: Snapshot) -> tuple[Member, ...] | None:
    """The files of a state that is stored in shared blobs."""
    if snapshot.blobs is None:
        return None
    return tuple(Member(group, ref.sha256, ref.size_bytes) for group, ref in sorted(snapshot.blobs.items()))


def blob_of(member: Member) -> BlobRef:
    """Where a volume keeps the bytes of a member."""
    return BlobRef(keys.blob(BlobId(member.sha256)), member.sha256, member.size_bytes)


def snapshot_of(head: ArchiveHead) -> Snapshot:
    """Inverse of ``archive_head``; InvalidInput when a fact is missing or means nothing."""
    blobs = None if head.members is None else {item.group: blob_of(item).to_dict() for item in head.members}
    try:
        return Snapshot.from_dict({**head.facts, "blobs": blobs})
    except (KeyError, TypeError, ValueError) as error:
        raise _does_not_fit() from error


def require_sound_state(store: ObjectStore, head: ArchiveHead) -> None:
    """Load what was imported, as a recovery would; InvalidInput when it cannot become a memory."""
    try:
        load_archived(store, head)
    except (CorruptData, InvalidInput) as error:
        raise _does_not_fit() from error


def load_archived(store: ObjectStore, head: ArchiveHead) -> MemoryState:
    """The state of which a manifest speaks, from shared blobs."""
    return load_state(store, MemoryConfig.from_dict(head.config), snapshot_of(head), of="the archive")


def json_lines(head: ArchiveHead, state: MemoryState) -> bytes:
    """A state for people: a line of facts, then one line per exemplar, pattern by pattern in order of birth."""
    facts = {key: head.facts[key] for key in ("seq", "weight_hash", "observation_count", "pattern_count")}
    first = {"memory": head.memory, "tag": head.tag, "description": head.description, "config": head.config, **facts}
    return b"".join(_line(value) for value in (first, *_exemplar_lines(state)))


def _exemplar_lines(state: MemoryState) -> Iterator[dict[str, Any]]:
    ids, strengths = state.bank.column("pattern_id_U").tolist(), state.bank.strengths().tolist()
    for pattern, strength, slot in sorted(
        zip(ids, strengths, state.bank.exemplars, strict=True), key=lambda row: row[0]
    ):
        for exemplar in slot:
            yield {"pattern": pattern, "strength": strength, **_plain(exemplar)}


def _plain(exemplar: Exemplar) -> dict[str, Any]:
    return {key: value for key, value in asdict(exemplar).items() if value is not None and value != {}}


def _line(value: dict[str, Any]) -> bytes:
    # A text may hold half a surrogate pair; as an escape it still comes back.
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"


def _does_not_fit() -> NeuralMemoryError:
    return InvalidInput(
        "The archive's tensors and settings do not make a memory.",
        code="ARCHIVE_INVALID",
        hint="Export it again with the version that wrote it; nothing was imported.",
    )
