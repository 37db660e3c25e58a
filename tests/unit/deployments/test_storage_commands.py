"""The commands that move, check and clean, against the HTTP door over a volume on files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from deployments.cli import connection
from deployments.cli.app import app
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.http_client import RemoteBackend
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.local_store import LocalStore

Run = Callable[..., Result]


async def own_pid(_: MemoryName) -> int:
    return 1


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Each command is a client of a service that starts for it and stops after it."""

    def connect(*, url: str | None, is_local: bool) -> RemoteBackend:
        pool = LocalEncoderPool()
        backend = LocalBackend(LocalStore(tmp_path / "volume"), pool)
        hash_ = EncoderId("hash")
        services = Services(
            backend=backend,
            encoders=pool,
            encoder=hash_,
            readiness=Readiness(backend=backend, encoders=pool, encoder=hash_),
            max_body_bytes=4096,
            max_import_bytes=1 << 28,
            owner_pid=own_pid,
        )
        return RemoteBackend(url or "http://test", transport=httpx.ASGITransport(app=build_api(services)))

    monkeypatch.setattr(connection, "connect", connect)

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, list(map(str, arguments)))

    assert invoke("create", "notes", "--units", "64").exit_code == 0
    assert invoke("observe", "notes", "The lease ends in June.").exit_code == 0
    return invoke


def printed_json(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    parsed = json.loads(result.stdout)
    assert isinstance(parsed, dict)
    return parsed


def test_a_memory_goes_out_to_a_file_and_comes_back_under_another_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "notes.nmem"
    assert printed_json(run("export", "notes", "-o", file, "--json"))["size_bytes"] == file.stat().st_size
    assert printed_json(run("import", file, "--name", "again", "--json"))["observation_count"] == 1
    assert "The lease ends in June." in run("infer", "again", "When does the lease end?").stdout
    assert "ARCHIVE" not in run("export", "notes", "--format", "jsonl", "-o", tmp_path / "notes.jsonl").output
    assert "The lease ends in June." in (tmp_path / "notes.jsonl").read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_versions_are_pruned_by_rule_and_deleted_by_name(run: Run) -> None:
    for tag in ("auto-1", "auto-2", "release"):
        assert run("checkpoint", "notes", tag).exit_code == 0
    assert printed_json(run("retention", "notes", "--json"))["keep_last"] is None
    assert printed_json(run("retention", "notes", "--keep-last", "1", "--json"))["keep_last"] == 1
    assert "Would delete 1 checkpoints, kept 2." in run("prune", "notes", "--dry-run").stdout
    assert printed_json(run("prune", "notes", "--yes", "--json"))["removed"] == ["auto-1"]
    assert "Deleted release" in run("delete-checkpoint", "notes", "release", "--yes").stdout
    assert [item["tag"] for item in printed_json(run("checkpoints", "notes", "--json"))["checkpoints"]] == ["auto-2"]
    assert printed_json(run("gc", "--grace", "0s", "--json"))["is_dry_run"] is False
    assert run("gc", "--grace", "soon").exit_code == 1


def test_verify_says_what_is_damaged_and_exits_with_one(run: Run, tmp_path: Path) -> None:
    assert run("checkpoint", "notes", "v1").exit_code == 0
    assert run("verify").exit_code == run("verify", "notes").exit_code == 0
    blob = next((tmp_path / "volume" / "blobs").glob("*/*"))
    blob.write_bytes(blob.read_bytes()[:-1])
    told = run("verify")
    assert (told.exit_code, f"damaged  blobs/{blob.parent.name}/{blob.name}" in told.stdout) == (1, True)
    found = run("verify", "notes", "--json")
    assert (found.exit_code, json.loads(found.stdout)["is_intact"]) == (1, False)


def test_import_learns_what_another_memory_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_STORAGE_PATH", str(tmp_path / "volume"))
    monkeypatch.setenv("MEMORY_DIM", "64")
    file = tmp_path / "mem0.json"
    file.write_text('{"results": [{"memory": "Ann likes tea."}, {"memory": "The ferry leaves at noon."}]}')
    options = ["--from", "mem0", "--name", "from-mem0", "--encoder", "hash", "--local"]
    made = CliRunner().invoke(app, ["import", str(file), *options, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout) == {"memory": "from-mem0", "observations": 2, "new_share": 1.0}
    asked = CliRunner().invoke(app, ["infer", "from-mem0", "When does the ferry leave?", "--local", "--json"])
    assert json.loads(asked.stdout)["response"] == "The ferry leaves at noon."
