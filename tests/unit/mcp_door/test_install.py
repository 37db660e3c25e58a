"""Client files: what is written, and what is never lost."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deployments.cli.mcp_commands import mcp_app
from deployments.mcp.clients import McpClient, Target, config_path, entry, section
from deployments.mcp.config_file import add_entry
from memory_core.errors import InvalidInput

URL = "http://127.0.0.1:8000"
ENTRY = {"command": "x"}


def test_editors_speak_http_to_the_memory_that_was_named() -> None:
    target = Target(url=URL, memory="team")
    assert entry(McpClient.CLAUDE_CODE, target) == {"type": "http", "url": f"{URL}/memories/team/mcp"}
    assert entry(McpClient.VSCODE, target) == {"type": "http", "url": f"{URL}/memories/team/mcp"}
    assert entry(McpClient.CURSOR, Target(url=URL + "/", memory=None)) == {"url": f"{URL}/mcp"}


def test_claude_desktop_starts_a_process() -> None:
    made = entry(McpClient.CLAUDE_DESKTOP, Target(url=URL, memory="team"))
    assert Path(made["command"]).is_absolute()
    assert made["args"][-5:] == ["mcp", "--url", URL, "--memory", "team"]


@pytest.mark.parametrize("client", McpClient)
def test_without_a_service_every_client_starts_a_process(client: McpClient) -> None:
    assert entry(client, Target(url=None, memory=None))["args"][-2:] == ["mcp", "--local"]


@pytest.mark.parametrize("client", [McpClient.CLAUDE_CODE, McpClient.CURSOR, McpClient.VSCODE])
def test_a_key_is_named_never_written(client: McpClient) -> None:
    header = entry(client, Target(url=URL, memory=None, needs_key=True))["headers"]["Authorization"]
    assert header.startswith("Bearer ${")
    assert header.endswith("NEURAL_MEMORY_API_KEY}")


@pytest.mark.parametrize("client", McpClient)
def test_other_entries_stay_as_they_are(client: McpClient, tmp_path: Path) -> None:
    path = config_path(client, home=tmp_path / "home", project=tmp_path / "project")
    path.parent.mkdir(parents=True)
    former = {"theme": "dunkel ☾", section(client): {"other": {"command": "y", "env": {"A": "b"}}}}
    path.write_text(json.dumps(former), encoding="utf-8")
    path.chmod(0o600)
    written = add_entry(path, section(client), "neural-memory", ENTRY)
    now = json.loads(path.read_text(encoding="utf-8"))
    assert now[section(client)].pop("neural-memory") == ENTRY
    assert now == former
    assert written.backup is not None
    assert json.loads(written.backup.read_text(encoding="utf-8")) == former
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_missing_or_empty_is_made(tmp_path: Path) -> None:
    for path in (tmp_path / "new" / "mcp.json", tmp_path / "empty.json"):
        if path.name == "empty.json":
            path.touch()
        add_entry(path, "mcpServers", "neural-memory", ENTRY)
        assert json.loads(path.read_text(encoding="utf-8")) == {"mcpServers": {"neural-memory": ENTRY}}


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    assert add_entry(path, "servers", "neural-memory", ENTRY).is_changed
    assert not add_entry(path, "servers", "neural-memory", ENTRY).is_changed
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ['{"a": 1, // why\n}', "[]", '{"mcpServers": []}', '{"a":'])
def test_a_file_we_do_not_understand_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match="left alone"):
        add_entry(path, "mcpServers", "neural-memory", ENTRY)
    assert path.read_text(encoding="utf-8") == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}", encoding="utf-8")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    add_entry(tmp_path / "link.json", "mcpServers", "neural-memory", ENTRY)
    assert (tmp_path / "link.json").is_symlink()
    assert "neural-memory" in (tmp_path / "real.json").read_text(encoding="utf-8")


def test_the_command_writes_and_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["install", "--client", "claude-code", "--memory", "team"]
    shown = CliRunner().invoke(mcp_app, [*arguments, "--print"])
    assert shown.exit_code == 0
    printed: dict[str, Any] = json.loads(shown.stdout)
    assert not (tmp_path / ".mcp.json").exists()
    assert CliRunner().invoke(mcp_app, arguments).exit_code == 0
    assert json.loads((tmp_path / ".mcp.json").read_text(encoding="utf-8")) == printed
