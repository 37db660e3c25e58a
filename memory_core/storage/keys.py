"""Where things lie in a volume. Every key is made here.

::

    volume.json                                      format of the volume
    names/<name>                                     which uid a name means, and its line of the listing
    lines/<name>!<line>                              that line again, where a listing returns it: see ``lines``
    blobs/<hh>/<sha256>                              tensors by content, shared by all memories
    memories/<uid>/epochs/<epoch>.json               one claim per writer
    memories/<uid>/heads/<epoch>-<number>.json       where recovery starts; the greatest key counts
    memories/<uid>/state/<epoch>-<number>/<part>     tensors that one head alone reaches
    memories/<uid>/journal/<epoch>/<segment>.log     records since a head
    memories/<uid>/checkpoints/<tag>.json            published versions
    memories/<uid>/retention.json                    which of them may be pruned
    memories/<uid>/terms/<epoch>-<number>.json       what of the memory may change; the greatest key counts
    expiries/<time>!<uid>!<name>                     when a memory may end: see ``terms_files``
    pins/<id>, condemned/<id>                        blobs about to be named, about to be deleted: see ``pins``
    jobs/plans/<job>.json, jobs/progress/<job>.json  what a batch job does, and how far it is
    jobs/runs/<job>/<run>.json, jobs/cancelled/<job>.json   one claim per run; that it shall stop
    jobs/rejects/<job>/<window>.jsonl                rows that it could not teach

Numbers have ten digits, so byte order is number order. A memory lives under a uid that is never used again: a name
that was deleted and taken anew cannot meet old records.
"""

from __future__ import annotations

from memory_core.ids import BlobId, Epoch, MemoryName, Tag

NAMES = "names/"
LINES = "lines/"
BLOBS = "blobs/"
MEMORIES = "memories/"
PINS = "pins/"
CONDEMNED = "condemned/"
PROBES = "probes/"
JOB_PLANS = "jobs/plans/"
EXPIRIES = "expiries/"


def volume() -> str:
    """The volume's own document."""
    return "volume.json"


def probe(nonce: str) -> str:
    """A key for trying the volume at start."""
    return PROBES + nonce


def pin(nonce: str) -> str:
    """Blobs that somebody is about to name."""
    return PINS + nonce


def condemned(nonce: str) -> str:
    """Blobs that somebody is about to delete."""
    return CONDEMNED + nonce


def name(memory: MemoryName) -> str:
    """The pointer from a name to a uid. No suffix: listing order must be name order."""
    return NAMES + memory


def blob(blob_id: BlobId) -> str:
    """A blob shared by the volume."""
    return f"blobs/{blob_id[:2]}/{blob_id}"


def memory(uid: str) -> str:
    """Everything that one memory owns."""
    return f"memories/{uid}/"


def epochs(uid: str) -> str:
    """All claims of a memory."""
    return f"memories/{uid}/epochs/"


def epoch(uid: str, number: Epoch) -> str:
    """One claim."""
    return f"{epochs(uid)}{number:010d}.json"


def heads(uid: str) -> str:
    """All heads of a memory."""
    return f"memories/{uid}/heads/"


def head(uid: str, owner: Epoch, number: int) -> str:
    """One head."""
    return f"{heads(uid)}{owner:010d}-{number:010d}.json"


def states(uid: str) -> str:
    """All private tensors of a memory."""
    return f"memories/{uid}/state/"


def state(uid: str, owner: Epoch, number: int, part: str) -> str:
    """One part of the private state of one head."""
    return f"{states(uid)}{owner:010d}-{number:010d}/{part}"


def journals(uid: str) -> str:
    """The journals of all epochs."""
    return f"memories/{uid}/journal/"


def journal(uid: str, owner: Epoch) -> str:
    """The folder of one epoch's journal."""
    return f"{journals(uid)}{owner:010d}"


def checkpoints(uid: str) -> str:
    """All published versions of a memory."""
    return f"memories/{uid}/checkpoints/"


def checkpoint(uid: str, tag: Tag) -> str:
    """One published version."""
    return f"{checkpoints(uid)}{tag}.json"


def retention(uid: str) -> str:
    """The policy by which checkpoints are pruned."""
    return f"memories/{uid}/retention.json"


def job_plan(job: str) -> str:
    """What a batch job does."""
    return f"{JOB_PLANS}{job}.json"


def job_progress(job: str) -> str:
    """How far it is."""
    return f"jobs/progress/{job}.json"


def job_run(job: str, number: int) -> str:
    """The claim of one of its runs."""
    return f"jobs/runs/{job}/{number:010d}.json"


def job_cancelled(job: str) -> str:
    """That it shall stop."""
    return f"jobs/cancelled/{job}.json"


def job_reject_lists(job: str) -> str:
    """All rows that it could not teach."""
    return f"jobs/rejects/{job}/"


def job_rejects(job: str, window: int) -> str:
    """Those of one window."""
    return f"{job_reject_lists(job)}{window:010d}.jsonl"


def all_terms(uid: str) -> str:
    """All terms of a memory."""
    return f"memories/{uid}/terms/"


def terms(uid: str, owner: Epoch, number: int) -> str:
    """Terms as one writer put them."""
    return f"{all_terms(uid)}{owner:010d}-{number:010d}.json"


def term_number(key: str, owner: Epoch) -> int:
    """The number in a key of ``terms`` when it is of this writer, else 0."""
    epoch, _, number = last_part(key).partition("-")
    return int(number) if int(epoch) == owner else 0


def expiry(expires_at: str, uid: str, memory: MemoryName) -> str:
    """The end of a memory. ``!`` is in no time, uid or name."""
    return f"{EXPIRIES}{expires_at}!{uid}!{memory}"


def parts_of_expiry(key: str) -> tuple[str, MemoryName]:
    """Uid and name in a key of ``expiry``."""
    _, uid, memory = key.removeprefix(EXPIRIES).split("!", 2)
    return uid, MemoryName(memory)


def last_part(key: str) -> str:
    """The file name of a key, without ``.json`` or ``.log``."""
    return key.rpartition("/")[2].removesuffix(".json").removesuffix(".log")
