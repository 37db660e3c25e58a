"""A memory takes over the state of one of its forks, in one published head, with what it was kept under a tag."""

from __future__ import annotations

from memory_core.family_results import PromoteResult
from memory_core.ids import MemoryName, Tag
from memory_core.lifecycle import events as on
from memory_core.memory_owner import MemoryOwner
from memory_core.owned_memory import OwnedMemory
from memory_core.storage.memory_files import checkpoint_exists


def adopt(owner: MemoryOwner, fork: MemoryName, tag: Tag, previous_tag: Tag) -> PromoteResult:
    """Three plans that nothing comes between; a repetition, also after a crash, does what is missing of them.

    NotFound, or Conflict (SETTINGS_MISMATCH, or CHECKPOINT_EXISTS when a tag means another state).
    """
    memory = owner.memory
    taken = memory.shelf.find(fork, tag).snapshot.weight_hash
    is_tagged, lost = _has_version(memory, tag, taken), 0
    if memory.weight_hash() != taken:
        if not _has_version(memory, previous_tag, memory.weight_hash()):
            owner.checkpoint(on.CheckpointRequested(previous_tag), f"before {fork} was promoted")
        lost = owner.go_back(on.RestoreRequested(tag, source=fork))
    if not is_tagged:
        owner.checkpoint(on.CheckpointRequested(tag), f"promoted from {fork}")
    return PromoteResult(
        memory=memory.name,
        fork=fork,
        tag=tag,
        previous_tag=previous_tag if memory.files.has_checkpoint(previous_tag) else None,
        weight_hash=taken,
        observations_lost=lost,
    )


def _has_version(memory: OwnedMemory, tag: Tag, weight_hash: str) -> bool:
    """False when there is none; Conflict when the tag means another state."""
    if not memory.files.has_checkpoint(tag):
        return False
    if memory.shelf.find(memory.name, tag).snapshot.weight_hash != weight_hash:
        raise checkpoint_exists(memory.name, tag)
    return True
