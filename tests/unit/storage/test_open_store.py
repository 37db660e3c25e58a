"""Which volumes are opened, and what a volume has to show first."""

import uuid
from pathlib import Path

import pytest

from memory_core.errors import CorruptData, InvalidInput, NeuralMemoryError, Unavailable
from memory_core.storage import keys
from memory_core.storage.local_store import LocalStore
from memory_core.storage.open_store import open_store, require_atomic_create
from memory_core.storage.ram_store import RamStore
from memory_core.testing.faulty_store import FaultyStore, failing


class CheckThenWriteStore(RamStore):
    """The mistake that the probe is there to find: every racer believes that it won."""

    def create_if_absent(self, key: str, data: bytes) -> bool:
        self.put(key, data)
        return True


def test_a_folder_is_opened_by_url_or_path_and_made(tmp_path: Path) -> None:
    by_url = open_store((tmp_path / "a b" / "volume").as_uri())
    by_path = open_store(str(tmp_path / "a b" / "volume"))
    by_url.put("x", b"1")
    assert by_path.get("x") == b"1"


def test_volumes_in_ram_are_told_apart_by_name() -> None:
    name = uuid.uuid4().hex
    open_store(f"memory://{name}").put("x", b"1")
    assert open_store(f"memory://{name}").exists("x")
    assert not open_store(f"memory://{name}-other").exists("x")


def test_a_protocol_without_atomic_create_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no atomic create") as raised:
        open_store(f"dir::file://{tmp_path}")
    assert "single_writer" in raised.value.hint


def test_a_protocol_without_atomic_create_is_opened_on_the_operators_word(tmp_path: Path) -> None:
    store = open_store(f"dir::file://{tmp_path}", single_writer=True)
    assert store.create_if_absent("x", b"1")
    assert open_store(f"dir::file://{tmp_path}?single_writer=true").get("x") == b"1"


def test_a_volume_that_lets_two_writers_win_is_refused() -> None:
    with pytest.raises(Unavailable) as raised:
        require_atomic_create(CheckThenWriteStore(uuid.uuid4().hex))
    assert raised.value.code == "STORAGE_NOT_ATOMIC"


def test_a_volume_that_cannot_be_written_is_unavailable() -> None:
    store = FaultyStore(RamStore(uuid.uuid4().hex), failing("create_if_absent", "probes", times=9))
    with pytest.raises(Unavailable) as raised:
        require_atomic_create(store)
    assert raised.value.retryable


def test_a_volume_of_another_format_is_refused(tmp_path: Path) -> None:
    open_store(str(tmp_path)).put(keys.volume(), b'{"format": "unknown"}')
    with pytest.raises(CorruptData):
        open_store(str(tmp_path))


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert [item.key for item in store.list_objects("")] == [keys.volume()]


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = LocalStore(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NeuralMemoryError) as raised:
        store.put("x", b"1")
    assert (raised.value.code, raised.value.retryable) == ("STORAGE_FULL", True)
    assert "Free space" in raised.value.hint
    assert not list((tmp_path / "tmp").iterdir())
