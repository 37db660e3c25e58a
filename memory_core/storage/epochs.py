"""One writer per memory, proven in storage.

A writer owns a memory while its claim is the newest object under ``epochs/``. A claim is create-if-absent of the
number after the newest one, so exactly one of several openers wins a number and the others take the next.

Order of the writer:     append + sync   ->  see that no newer claim exists  ->  apply and acknowledge.
Order of the successor:  claim  ->  read newest head and journal  ->  publish its own head  ->  see that it is newest.

The races, each by the instant t of the successor's claim:

- The writer looked before t: its record was durable before it looked, so before the successor reads. Recovered.
- The writer looks after t: it sees the claim and answers Fenced. The record may or may not have been read by then;
  the successor's head closes the old run at the position that *was* read, so every later recovery decides the same.
- The old writer is still appending while the successor reads: a torn or half-listed tail is cut at the last whole
  frame; the closed run ends there, and bytes that arrive later lie beyond it.
- The old writer publishes a head (checkpoint, restore) after t: it is greater than its old heads but smaller than
  any head of the successor, whose epoch leads the key. It was not acknowledged, and nothing reads it once the
  successor's head exists. If the successor dies before that head, the next one may read it: a head is always a
  whole state of its own writer, so all that was acknowledged is in it.
- Two successors: the one with the smaller number finds the greater claim after publishing its head and never serves.
  Its head is complete, so the greater one may start from it.
- The old writer deletes what it believes is unneeded: it does so only after publishing a head and looking
  (no claim yet, so the successor starts from that head or a newer one), and deletes only objects of its own or older
  epochs that neither that head nor the one before reaches.
- Delete: the deleter claims first, then removes the name, then everything, claims last. A writer whose claim is gone
  is fenced. An opener that claimed before the name went is in the listing that the deleter removes; one that claims
  after finds no name when it looks again after its claim.

A stalled writer keeps answering reads from its last state until its next write: reads are not fenced.
"""

from __future__ import annotations

import uuid
from typing import Final

from memory_core.errors import Fenced, NotFound, Unavailable
from memory_core.ids import Epoch
from memory_core.storage import keys
from memory_core.storage.documents import create_document
from memory_core.storage.object_store import ObjectStore

_CLAIM_ATTEMPTS: Final = 64
_CLAIMS_KEPT: Final = 8


def claim(store: ObjectStore, uid: str) -> Epoch:
    """Become the newest writer; every older one is fenced from now on. NotFound when the memory was deleted."""
    writer = uuid.uuid4().hex
    for _ in range(_CLAIM_ATTEMPTS):
        claims = _list_claims(store, uid)
        if not claims:
            raise NotFound("The memory was deleted.", code="MEMORY_NOT_FOUND", hint="Create it again.")
        epoch = Epoch(claims[-1] + 1)
        if create_document(store, keys.epoch(uid, epoch), "epoch", {"epoch": epoch, "writer": writer}):
            _forget_claims(store, uid, claims[:-_CLAIMS_KEPT])
            return epoch
    raise Unavailable(
        f"{_CLAIM_ATTEMPTS} other writers claimed the memory first.",
        code="CLAIM_CONTENTION",
        hint="Find out why so many processes open the same memory.",
    )


def first_claim(store: ObjectStore, uid: str) -> Epoch:
    """The creator's claim on a uid that nobody else knows yet."""
    create_document(store, keys.epoch(uid, Epoch(0)), "epoch", {"epoch": 0, "writer": uuid.uuid4().hex})
    return Epoch(0)


def require_newest(store: ObjectStore, uid: str, epoch: Epoch) -> None:
    """Fenced unless ``epoch`` is the newest claim and still there. One listing of at most two keys."""
    listed = store.list_objects(keys.epochs(uid), start_after=keys.epoch(uid, Epoch(epoch - 1)), limit=2)
    if [item.key for item in listed] != [keys.epoch(uid, epoch)]:
        raise Fenced(
            "Another process took over this memory.",
            hint="Repeat the request with the same idempotency key; it will reach the new owner.",
            epoch=epoch,
        )


def _list_claims(store: ObjectStore, uid: str) -> list[Epoch]:
    return [Epoch(int(keys.last_part(item.key))) for item in store.list_objects(keys.epochs(uid))]


def _forget_claims(store: ObjectStore, uid: str, old: list[Epoch]) -> None:
    """Old claims go oldest first: a writer is fenced by the absence of its own claim as by a newer one."""
    for epoch in old:
        store.delete(keys.epoch(uid, epoch))
