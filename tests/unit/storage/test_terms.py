"""Terms on a volume: the greatest epoch counts, and what is over is deleted, nothing else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from memory_core.errors import InvalidInput, NotFound
from memory_core.ids import Epoch, MemoryName
from memory_core.storage import keys
from memory_core.storage.ram_store import RamStore
from memory_core.storage.terms_files import delete_expired, read_terms, write_terms
from memory_core.terms import MemoryTerms, TermsChange
from memory_core.testing.small_memory import small_config
from memory_core.volume import Volume

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)


def test_what_a_fenced_writer_still_writes_is_not_read() -> None:
    store, name = RamStore(uuid.uuid4().hex), MemoryName("a")
    write_terms(store, "u", name, Epoch(3), MemoryTerms(description="new"))
    write_terms(store, "u", name, Epoch(2), MemoryTerms(description="late"))
    assert read_terms(store, "u").description == "new"
    write_terms(store, "u", name, Epoch(3), MemoryTerms(description="newer"))
    assert read_terms(store, "u").description == "newer"
    assert len(store.list_objects(keys.all_terms("u"))) == 1


def test_only_memories_whose_time_is_over_are_deleted() -> None:
    store = RamStore(uuid.uuid4().hex)
    volume = Volume(store)
    for name, ttl_s in (("brief", 1.0), ("long", 1e6), ("for-ever", None)):
        volume.create(MemoryName(name), small_config(), MemoryTerms(ttl_s=ttl_s))
    end = datetime.now(UTC) + timedelta(seconds=60)
    assert delete_expired(store, end) == ["brief"]
    assert delete_expired(store, end) == []
    assert [info.name for info in volume.list_memories().memories] == ["for-ever", "long"]
    assert volume.verify(MemoryName("long")).is_intact


def test_a_longer_life_and_a_new_memory_of_the_name_are_safe_from_an_old_end() -> None:
    store = RamStore(uuid.uuid4().hex)
    volume, name = Volume(store), MemoryName("a")
    volume.create(name, small_config(), MemoryTerms(ttl_s=1.0))
    uid = volume.find(name).uid
    write_terms(store, uid, name, Epoch(1), MemoryTerms(ttl_s=1e6).starting(datetime.now(UTC)))
    soon = datetime.now(UTC) + timedelta(seconds=60)
    assert delete_expired(store, soon) == []
    volume.delete(name)
    volume.create(name, small_config())
    assert delete_expired(store, soon + timedelta(days=30)) == []
    assert volume.find(name).info.name == name
    with pytest.raises(NotFound):
        volume.find(MemoryName("b"))


def test_a_change_leaves_the_rest_and_counts_life_from_now() -> None:
    terms = MemoryTerms(kind="session", description="x", ttl_s=5.0).starting(NOW)
    assert not terms.is_over(NOW) and terms.is_over(LATER)
    longer = terms.changed(TermsChange(ttl_s=60.0), LATER)
    assert (longer.kind, longer.description, longer.is_over(LATER + timedelta(seconds=59))) == ("session", "x", False)
    assert terms.changed(TermsChange(ttl_s=0.0), LATER).expires_at is None
    assert terms.changed(TermsChange(is_read_only=True), LATER).expires_at == terms.expires_at


@pytest.mark.parametrize("wrong", [{"ttl_s": -1.0}, {"ttl_s": 1e12}, {"kind": "x"}, {"description": "x" * 2000}])
def test_terms_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        MemoryTerms(**wrong)  # type: ignore[arg-type]
