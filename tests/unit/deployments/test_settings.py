"""Settings come from the environment, under the names that people know."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_default_volume_is_in_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().storage_url == (tmp_path / ".neural-memory" / "volume").as_uri()


def test_the_default_service_is_for_this_machine_only() -> None:
    settings = Settings()
    assert (settings.base_url, settings.is_loopback) == ("http://127.0.0.1:8000", True)


def test_the_environment_is_read_by_capital_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MEMORY_STORAGE_PATH": "s3://bucket/v", "PORT": "9000", "ENCODER": "hash"}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.storage_url, settings.port, settings.encoder) == ("s3://bucket/v", 9000, "hash")


def test_a_plain_path_becomes_a_url(tmp_path: Path) -> None:
    settings = Settings(memory_storage_path=str(tmp_path / "a b"))
    assert settings.storage_url == f"file://{tmp_path}/a%20b"


def test_the_log_level_may_be_written_small() -> None:
    assert Settings.model_validate({"log_level": "debug"}).log_level == "DEBUG"


@pytest.mark.parametrize("bad", [{"port": 0}, {"port": 70000}, {"log_level": "LOUD"}, {"max_body_bytes": 1}])
def test_a_value_that_cannot_work_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(bad)


def test_a_service_on_all_interfaces_is_reached_on_loopback_and_is_not_private() -> None:
    settings = Settings(host="0.0.0.0", port=8001)
    assert (settings.base_url, settings.is_loopback) == ("http://127.0.0.1:8001", False)


@pytest.mark.parametrize(("durability", "is_known"), [("sync", True), ("group(20)", True), ("never", False)])
def test_durability_is_checked_at_start(durability: str, is_known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_DURABILITY", durability)
    if is_known:
        assert Settings().memory_durability == durability
    else:
        with pytest.raises(ValueError, match="Unknown durability"):
            Settings()
