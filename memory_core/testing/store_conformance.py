"""What every ObjectStore promises, as tests. Subclass it and give a fixture ``store`` on an empty volume."""
# ruff: noqa: D102  the names of tests are their documentation

from __future__ import annotations

import threading

import pytest

from memory_core.errors import NotFound
from memory_core.storage.object_store import ObjectStore


class StoreConformance:
    """The suite. Names of tests are the promises."""

    def test_what_was_put_is_read_back(self, store: ObjectStore) -> None:
        store.put("a/b/c", b"one")
        store.put("a/b/c", b"two")
        store.put("empty", b"")
        assert store.get("a/b/c") == b"two"
        assert store.get("empty") == b""

    def test_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        store.put("a/b", b"x")
        for key in ("missing", "a", "a/b/c", "a/bb"):
            with pytest.raises(NotFound) as raised:
                store.get(key)
            assert raised.value.code == "OBJECT_NOT_FOUND"
            assert not store.exists(key)

    def test_create_if_absent_keeps_the_first_object(self, store: ObjectStore) -> None:
        assert store.create_if_absent("claims/1", b"first")
        assert not store.create_if_absent("claims/1", b"second")
        assert store.get("claims/1") == b"first"

    def test_a_repeated_create_with_its_own_bytes_counts_as_done(self, store: ObjectStore) -> None:
        assert store.create_if_absent("claims/2", b"nonce 1")
        assert store.create_if_absent("claims/2", b"nonce 1")

    def test_one_of_many_concurrent_creates_wins(self, store: ObjectStore) -> None:
        wins: list[int] = []
        start = threading.Barrier(8)

        def create(number: int) -> None:
            start.wait()
            if store.create_if_absent("claims/3", f"writer {number}".encode()):
                wins.append(number)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wins) == 1
        assert store.get("claims/3") == f"writer {wins[0]}".encode()

    def test_a_deleted_object_is_gone_and_deleting_again_is_no_error(self, store: ObjectStore) -> None:
        store.put("a/b", b"x")
        store.delete("a/b")
        store.delete("a/b")
        assert not store.exists("a/b")
        assert store.create_if_absent("a/b", b"y")

    def test_listing_is_in_byte_order_below_a_prefix(self, store: ObjectStore) -> None:
        keys = ["l/a", "l/a-b", "l/a.b", "l/c/a", "l/c.a", "l/a0", "l/b", "m/a", "la"]
        for key in keys:
            store.put(key, b"x")
        assert [item.key for item in store.list_objects("l/")] == sorted(key for key in keys if key.startswith("l/"))
        assert [item.key for item in store.list_objects("l/a-")] == ["l/a-b"]
        assert store.list_objects("nothing/") == []

    def test_listing_continues_after_a_key_and_stops_at_a_limit(self, store: ObjectStore) -> None:
        for number in range(7):
            store.put(f"n/{number}", b"x")
        assert [item.key for item in store.list_objects("n/", start_after="n/2", limit=3)] == ["n/3", "n/4", "n/5"]
        assert store.list_objects("n/", start_after="n/2x", limit=1)[0].key == "n/3"
        assert len(store.list_objects("n/", limit=100)) == 7

    def test_a_stamp_changes_with_the_object_only(self, store: ObjectStore) -> None:
        store.put("s/a", b"one")
        (first,) = store.list_objects("s/")
        (again,) = store.list_objects("s/")
        store.put("s/a", b"two, longer")
        (changed,) = store.list_objects("s/")
        assert first == again
        assert first.stamp != changed.stamp

    def test_a_log_keeps_frames_in_order_across_segments(self, store: ObjectStore) -> None:
        log = store.open_log("log", 1)
        log.append(b"one.")
        log.append(b"two.")
        log.close()
        later = store.open_log("log", log.next_segment)
        later.append(b"three.")
        later.close()
        assert b"".join(store.get(item.key) for item in store.list_objects("log/")) == b"one.two.three."

    def test_what_was_appended_can_be_made_durable_by_a_reader(self, store: ObjectStore) -> None:
        log = store.open_log("log", 1)
        log.append(b"one.")
        (segment,) = store.list_objects("log/")
        store.sync(segment.key)
        log.append(b"two.")
        log.close()
        assert b"".join(store.get(item.key) for item in store.list_objects("log/")) == b"one.two."

    def test_a_log_that_was_never_written_leaves_no_object(self, store: ObjectStore) -> None:
        log = store.open_log("log", 5)
        log.close()
        assert store.list_objects("log/") == []
        assert log.next_segment == 5
