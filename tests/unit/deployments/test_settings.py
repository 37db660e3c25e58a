"""Settings come from the environment, under the names that people know."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from deployments.access.api_keys import mint
from deployments.access.authentication import OpenDoor, ReadingDoor
from deployments.access.exposure import require_safe_exposure
from deployments.access.key_shelf import KeyShelf
from deployments.health import Readiness
from deployments.memory_spec import complete_config
from deployments.settings import Settings, names_of, source_of
from deployments.settings_table import MASK, setting_rows
from memory_core.errors import Forbidden, InvalidInput
from memory_core.ids import EncoderId
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.storage.open_store import open_store
from tests.unit.deployments.fake_backend import FakeBackend, FakeEncoderPool


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        for name in names_of(field):
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


def test_the_promise_of_a_single_writer_travels_with_the_volume(tmp_path: Path) -> None:
    asked = {"memory_storage_path": f"dir::file://{tmp_path}"}
    with pytest.raises(InvalidInput, match="no atomic create"):
        open_store(Settings.model_validate(asked).storage_url)
    store = open_store(Settings.model_validate({**asked, "single_writer": True}).storage_url)
    assert store.create_if_absent("x", b"1")


def test_versions_come_by_themselves_unless_every_rule_is_switched_off() -> None:
    assert Settings().rhythm == CheckpointRhythm(every_observations=10_000, every_s=86_400.0)
    off = Settings(checkpoint_every_observations=0, checkpoint_every_s=0)
    assert off.rhythm == CheckpointRhythm()


SEEDS = {
    "MEMORY_DIM": ("256", "memory_dim", 256),
    "TTT_VARIANT": ("mlp", "ttt_variant", "mlp"),
    "LEARNING_RATE": ("0.01", "learning_rate", 0.01),
    "MCP_PORT": ("8765", "port", 8765),
    "DEVICE": ("cuda", "device", "gpu"),
    "LOG_LEVEL": ("info", "log_level", "INFO"),
    "HF_SPACE": ("true", "hf_space", True),
    "DOMAIN": ("python", "domain", "python"),
    "PRETRAINED": ("true", "pretrained", True),
    "MEMORY_STORAGE_PATH": ("/data/m", "memory_storage_path", "file:///data/m"),
    "EMBEDDING_DIM": ("768", "embedding_dim", 768),
    "HOST": ("0.0.0.0", "host", "0.0.0.0"),
    "PORT": ("5020", "port", 5020),
    "ENV": ("development", "env", "development"),
}


@pytest.mark.parametrize("variable", SEEDS)
def test_variables_that_people_know_are_read(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, field, value = SEEDS[variable]
    monkeypatch.setenv(variable, raw)
    settings = Settings()
    assert (getattr(settings, field), source_of(field, settings)) == (value, variable)


def test_redis_is_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hidden@redis:6379")
    monkeypatch.setenv("NEURAL_MEMORY_API_KEY", "nm_hidden")
    rows = {row["variable"]: row for row in setting_rows(Settings())}
    assert (rows["REDIS_URL"]["value"], rows["REDIS_URL"]["source"]) == (MASK, "REDIS_URL")
    assert "hidden" not in str(rows)


def test_port_wins_over_mcp_port_and_an_argument_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_PORT", "8765")
    monkeypatch.setenv("PORT", "5020")
    assert (Settings().port, Settings(port=9000).port) == (5020, 9000)


@pytest.mark.parametrize(
    ("variables", "field", "value", "source"),
    [
        ({"HF_SPACE": "true"}, "port", 7860, "HF_SPACE"),
        ({"HF_SPACE": "true", "MCP_PORT": "8765"}, "port", 8765, "MCP_PORT"),
        ({"HF_SPACE": "false"}, "port", 8000, "default"),
        ({"ENV": "development"}, "log_level", "DEBUG", "ENV"),
        ({"ENV": "development", "LOG_LEVEL": "error"}, "log_level", "ERROR", "LOG_LEVEL"),
        ({"DOMAIN": "python"}, "mcp_memory", "python", "DOMAIN"),
        ({"DOMAIN": "python", "MCP_MEMORY": "other"}, "mcp_memory", "other", "MCP_MEMORY"),
    ],
)
def test_a_setting_may_decide_the_default_of_another(
    variables: dict[str, str], field: str, value: object, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, raw in variables.items():
        monkeypatch.setenv(name, raw)
    settings = Settings()
    assert (getattr(settings, field), source_of(field, settings)) == (value, source)


def test_new_memories_start_from_what_the_operator_says() -> None:
    settings = Settings(memory_dim=512, ttt_variant="mlp", learning_rate=0.05, device="cuda:0.5")
    assert settings.memory_defaults == {
        "variant": "mlp",
        "learning_rate": 0.05,
        "rows": 16384,
        "units": 32768,
        "placement": {"device": "gpu:0.5"},
    }


@pytest.mark.parametrize("bad", [{"memory_dim": 500}, {"device": "tpu"}, {"learning_rate": 2}, {"domain": "a/b"}])
def test_a_default_that_no_memory_could_have_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(bad)


def test_every_setting_says_what_it_means() -> None:
    assert [row["variable"] for row in setting_rows(Settings()) if not row["meaning"]] == []


async def test_a_chosen_setting_wins_over_the_operators_default() -> None:
    config = await complete_config(
        FakeEncoderPool(),
        EncoderId("hash"),
        {"rows": 4096, "placement": {"is_pinned": True}},
        {"rows": 16384, "units": 64, "placement": {"device": "gpu"}},
    )
    assert (config.rows, config.units, config.placement.device, config.placement.is_pinned) == (4096, 64, "gpu", True)


async def test_a_service_that_only_reads_takes_every_other_scope_away() -> None:
    who = await ReadingDoor(OpenDoor()).principal(None)
    who.require("infer")
    with pytest.raises(Forbidden, match="observe"):
        who.require("observe")


def test_the_operators_key_is_admitted_once_and_stays_revoked(tmp_path: Path) -> None:
    shelf = KeyShelf(open_store(tmp_path.as_uri()))
    key, key_id, _ = mint()
    settings = Settings(memory_storage_path=str(tmp_path), host="0.0.0.0", neural_memory_api_key=SecretStr(key))
    require_safe_exposure(settings)
    assert shelf.has_valid()
    shelf.revoke(key_id)
    with pytest.raises(InvalidInput, match="needs keys"):
        require_safe_exposure(settings)


def test_an_operators_key_must_be_a_key(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no key"):
        KeyShelf(open_store(tmp_path.as_uri())).admit("secret")


async def test_a_service_is_not_ready_with_keys_of_another_size() -> None:
    pool = FakeEncoderPool()
    found = (await pool.describe(EncoderId("hash"))).key_dim
    for key_dim, is_ready in ((found, True), (found + 1, False), (None, True)):
        readiness = Readiness(backend=FakeBackend(), encoders=pool, encoder=EncoderId("hash"), key_dim=key_dim)
        assert (await readiness.reasons() == ()) is is_ready
