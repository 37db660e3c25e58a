"""Keys, principals and rates by themselves."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.access import api_keys
from deployments.access.api_keys import KeyRecord, is_secret, split_key
from deployments.access.authentication import REVOCATION_S, KeyDoor
from deployments.access.exposure import require_safe_exposure
from deployments.access.key_shelf import KeyShelf
from deployments.access.limits import Rates
from deployments.access.principal import Principal, caller, parse_globs, parse_scopes, parse_tenant
from deployments.cli.app import app
from deployments.cli.key_commands import parse_span
from deployments.settings import Settings
from memory_core.errors import Forbidden, InvalidInput, NotFound, Overloaded, Unauthenticated
from memory_core.ids import MemoryName
from memory_core.storage.local_store import LocalStore

ALL = frozenset({"observe", "infer", "admin"})


@pytest.fixture
def shelf(tmp_path: Path) -> KeyShelf:
    return KeyShelf(LocalStore(tmp_path / "volume"))


def test_the_volume_keeps_a_hash_and_never_the_secret(tmp_path: Path, shelf: KeyShelf) -> None:
    key, record = shelf.create(scopes=ALL)
    secret = key.rpartition("_")[2]
    at_rest = b"".join(path.read_bytes() for path in (tmp_path / "volume").rglob("*") if path.is_file())
    assert secret.encode() not in at_rest
    assert record.secret_sha256.encode() in at_rest
    assert key.startswith(f"nm_{record.key_id}_")


async def test_a_key_opens_the_door_until_it_is_revoked(shelf: KeyShelf) -> None:
    now_s = 0.0
    door = KeyDoor(shelf.find, clock_s=lambda: now_s)
    key, record = shelf.create(tenant="acme", scopes=ALL, memories=("team-*",))
    assert (await door.principal(key)).tenant == "acme"
    shelf.revoke(record.key_id)
    now_s = REVOCATION_S
    with pytest.raises(Unauthenticated):
        await door.principal(key)


@pytest.mark.parametrize("wrong", [None, "", "nm_", "nm_000000000000_" + "a" * 43, "nm_../../../x_" + "a" * 43])
async def test_what_is_no_key_stays_outside(shelf: KeyShelf, wrong: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await KeyDoor(shelf.find).principal(wrong)


async def test_a_key_with_another_secret_stays_outside(shelf: KeyShelf) -> None:
    key, _ = shelf.create(scopes=ALL)
    with pytest.raises(Unauthenticated):
        await KeyDoor(shelf.find).principal(key[:-1] + ("a" if key[-1] != "a" else "b"))


async def test_an_expired_key_stays_outside(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key, _ = KeyShelf(store, lambda: datetime.now(UTC) - timedelta(days=2)).create(
        scopes=ALL, expires=timedelta(days=1)
    )
    with pytest.raises(Unauthenticated):
        await KeyDoor(KeyShelf(store).find).principal(key)


async def test_a_rotated_key_lives_on_for_the_overlap_only(shelf: KeyShelf) -> None:
    old, record = shelf.create(scopes=ALL, expires=timedelta(days=90))
    new, fresh = shelf.rotate(record.key_id, timedelta(hours=1))
    assert (await KeyDoor(shelf.find).principal(old)).key_id == record.key_id
    assert (await KeyDoor(shelf.find).principal(new)).key_id == fresh.key_id
    ended = shelf.find(record.key_id)
    assert ended is not None
    assert not ended.is_valid(datetime.now(UTC) + timedelta(hours=2))
    assert fresh.is_valid(datetime.now(UTC) + timedelta(days=89))


def test_every_check_compares_in_constant_time(monkeypatch: pytest.MonkeyPatch, shelf: KeyShelf) -> None:
    compared: list[tuple[str, str]] = []

    def watched(left: str, right: str) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(api_keys.hmac, "compare_digest", watched)
    key, record = shelf.create(scopes=ALL)
    parts = split_key(key)
    assert parts is not None
    assert is_secret(record, parts[1])
    assert not is_secret(None, parts[1])
    assert not is_secret(record, "another")
    assert [len(left) == len(right) == 64 for left, right in compared] == [True] * 3


def test_ending_a_key_that_is_none_says_so(shelf: KeyShelf) -> None:
    for wrong in ("000000000000", "../../volume", ""):
        with pytest.raises(NotFound):
            shelf.revoke(wrong)


def test_a_record_of_a_newer_version_is_read(shelf: KeyShelf) -> None:
    _, record = shelf.create(scopes=ALL)
    assert KeyRecord.from_dict({**json.loads(json.dumps(record.to_dict())), "colour": "red"}) == record


def test_names_of_tenants_cannot_meet() -> None:
    here = Principal(tenant="acme", key_id="k", scopes=ALL, memories=("team-*",))
    default = Principal(tenant="default", key_id="k", scopes=ALL)
    stored = here.stored(MemoryName("team-a"))
    assert (stored, here.owns(stored), default.owns(stored)) == ("~acme~team-a", True, False)
    assert not Principal(tenant="acme-2", key_id="k", scopes=ALL).owns(stored)
    assert not here.owns(default.stored(MemoryName("team-a")))
    with pytest.raises(NotFound):
        here.stored(MemoryName("other"))
    with pytest.raises(Forbidden):
        here.require_may_name(MemoryName("other"))


def test_work_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        caller()


@pytest.mark.parametrize("wrong", ["", "Acme", "a~b", "-a", "a" * 41, "a/b"])
def test_a_tenant_that_does_not_fit_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        parse_tenant(wrong)


@pytest.mark.parametrize("wrong", ["", "root", "observe,root"])
def test_scopes_that_do_not_fit_are_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        parse_scopes(wrong)


@pytest.mark.parametrize("wrong", ["", "a/b", "~*", "a b"])
def test_globs_that_do_not_fit_are_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        parse_globs(wrong)


@pytest.mark.parametrize("wrong", ["", "90", "0d", "-1d", "1y", "d"])
def test_spans_that_do_not_fit_are_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        parse_span(wrong)


def test_a_bucket_refills_and_a_batch_leaves_it_in_debt() -> None:
    now_s = 0.0
    rates = Rates(lambda: now_s)
    rates.take("k", 25, burst=10, per_s=10)
    with pytest.raises(Overloaded) as early:
        rates.take("k", 1, burst=10, per_s=10)
    assert (early.value.code, early.value.retry_after_s) == ("RATE_LIMITED", 2.0)
    now_s = 1.6
    rates.take("k", 1, burst=10, per_s=10)
    rates.take("other", 10, burst=10, per_s=10)


def test_replicas_together_give_out_no_more_than_a_keys_rate() -> None:
    now_s, passed = 0.0, 0
    replicas = [Rates(lambda: now_s, sharers=lambda: 4) for _ in range(4)]
    for step in range(400):
        now_s = step / 40
        with suppress(Overloaded):
            replicas[step % 4].take("k", 1, burst=10, per_s=10)
            passed += 1
    assert 100 <= passed <= 110


def test_a_service_that_others_reach_needs_a_key(tmp_path: Path) -> None:
    settings = Settings(memory_storage_path=str(tmp_path), host="0.0.0.0")
    with pytest.raises(InvalidInput) as refused:
        require_safe_exposure(settings)
    assert refused.value.code == "NO_KEYS"
    KeyShelf(LocalStore(tmp_path)).create(scopes=ALL)
    require_safe_exposure(settings)
    with pytest.raises(InvalidInput):
        require_safe_exposure(settings.model_copy(update={"auth": "open"}))
    require_safe_exposure(Settings(memory_storage_path=str(tmp_path / "other")))


def test_the_command_line_makes_lists_rotates_and_revokes_keys(tmp_path: Path) -> None:
    def keys(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["keys", *arguments, "--storage", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    asked = ("--tenant", "acme", "--scopes", "observe,infer", "--memories", "team-*", "--expires", "90d", "--json")
    made = json.loads(keys("create", *asked))
    rotated = json.loads(keys("rotate", made["key"], "--overlap", "10m", "--json"))
    keys("revoke", rotated["key"])
    listed = json.loads(keys("list", "--json"))["keys"]
    assert [row["key"] for row in listed] == [made["key"], rotated["key"]]
    assert all(row["revoked_at"] for row in listed)
    assert "secret" not in json.dumps(listed)
    assert json.loads(keys("audit", "--json")) == {"entries": []}
