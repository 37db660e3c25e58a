"""Where each MCP client keeps its servers, and how it writes one down."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

ENTRY_NAME = "neural-memory"
KEY_VARIABLE = "NEURAL_MEMORY_API_KEY"


class McpClient(StrEnum):
    """Clients whose files we know."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"
    VSCODE = "vscode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a client shall connect to. ``url`` None: the volume itself, in a process of the client's own.

    ``needs_key``: the client sends what the variable NEURAL_MEMORY_API_KEY holds; the key itself is never written.
    """

    url: str | None
    memory: str | None
    needs_key: bool = False

    @property
    def endpoint(self) -> str:
        """The URL of the MCP door."""
        assert self.url is not None
        base = self.url.rstrip("/")
        return f"{base}/mcp" if self.memory is None else f"{base}/memories/{self.memory}/mcp"


def config_path(client: McpClient, *, home: Path, project: Path) -> Path:
    """The client's file: that of the user for applications, that of the project for editors of one."""
    if client is McpClient.CLAUDE_DESKTOP:
        return _application_folder(home) / "Claude" / "claude_desktop_config.json"
    if client is McpClient.CLAUDE_CODE:
        return project / ".mcp.json"
    if client is McpClient.CURSOR:
        return home / ".cursor" / "mcp.json"
    return project / ".vscode" / "mcp.json"


def section(client: McpClient) -> str:
    """The key in the file under which servers are."""
    return "servers" if client is McpClient.VSCODE else "mcpServers"


def entry(client: McpClient, target: Target) -> dict[str, Any]:
    """One server. Claude Desktop starts its servers itself; the others speak HTTP to a running service."""
    if client is McpClient.CLAUDE_DESKTOP or target.url is None:
        command, *arguments = _own_command()
        started = {"command": command, "args": [*arguments, "mcp", *_options(target)]}
        return {"type": "stdio", **started} if client is McpClient.VSCODE else started
    kind = {} if client is McpClient.CURSOR else {"type": "http"}
    headers = {"headers": {"Authorization": f"Bearer {_variable(client)}"}} if target.needs_key else {}
    return {**kind, "url": target.endpoint, **headers}


def _options(target: Target) -> list[str]:
    where = ["--local"] if target.url is None else ["--url", target.url]
    return where if target.memory is None else [*where, "--memory", target.memory]


def _variable(client: McpClient) -> str:
    return f"${{{KEY_VARIABLE}}}" if client is McpClient.CLAUDE_CODE else f"${{env:{KEY_VARIABLE}}}"


def _own_command() -> list[str]:
    # Clients start without a shell: the path must be whole.
    script = Path(sys.executable).with_name("neural-memory")
    return [str(script)] if script.exists() else [sys.executable, "-m", "deployments.cli"]


def _application_folder(home: Path) -> Path:
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    if sys.platform == "win32":
        return home / "AppData" / "Roaming"
    return home / ".config"
