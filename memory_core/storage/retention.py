"""Which checkpoints of a memory may go. The policy lies beside them; nothing is deleted until ``prune`` is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from memory_core.errors import NotFound
from memory_core.ids import PERIODIC_PREFIX
from memory_core.storage import keys
from memory_core.storage.documents import pack_document, read_document
from memory_core.storage.manifest import Checkpoint
from memory_core.storage.object_store import ObjectStore
from memory_core.storage_results import RetentionPolicy


def read_policy(store: ObjectStore, uid: str) -> RetentionPolicy:
    """The policy of a memory; one that keeps everything when none was set."""
    try:
        return read_document(store, keys.retention(uid), "retention", lambda body: RetentionPolicy(**body["policy"]))
    except NotFound:
        return RetentionPolicy()


def write_policy(store: ObjectStore, uid: str, policy: RetentionPolicy) -> None:
    """Replace the policy of a memory."""
    store.put(keys.retention(uid), pack_document("retention", {"policy": asdict(policy)}))


def expired(newest_first: Sequence[Checkpoint], policy: RetentionPolicy, now: datetime) -> list[Checkpoint]:
    """Checkpoints that no rule keeps; none when the policy has no rule."""
    if not policy.has_rule:
        return []
    subject = [item for item in newest_first if item.tag.startswith(PERIODIC_PREFIX) or not policy.keep_tagged]
    rest = subject[policy.keep_last or 0 :]
    if policy.keep_younger_than_s is None:
        return rest
    limit = now - timedelta(seconds=policy.keep_younger_than_s)
    return [item for item in rest if datetime.fromisoformat(item.created_at) < limit]
