"""What ``neural-memory mcp`` reads by itself is what Typer and the settings would have read."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deployments import mcp_stdio
from deployments.cli.mcp_commands import mcp_app
from deployments.mcp_stdio import StdioOptions, plain_options
from deployments.mcp_tier import told_tier
from deployments.settings import Settings


@pytest.mark.parametrize(
    "line",
    ["", "--local", "--url http://h:1", "--url=http://h:1", "--memory m --local", "--memory=a --url=b=c --memory d"],
)
def test_plain_options_are_those_that_typer_reads(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[StdioOptions] = []
    monkeypatch.setattr(mcp_stdio, "run_stdio", read.append)
    assert CliRunner().invoke(mcp_app, line.split()).exit_code == 0
    assert read == [plain_options(line.split())]


@pytest.mark.parametrize("line", ["install", "--help", "--url", "--local=yes", "--memory", "x --local", "--loc"])
def test_any_other_line_is_left_to_typer(line: str) -> None:
    assert plain_options(line.split()) is None


@pytest.mark.parametrize("environment", [{}, {"MCP_TOOLS": "full"}, {"mcp_tools": "full"}, {"MCP_TOOLS": "core"}])
def test_the_tier_is_the_one_of_the_settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert told_tier() == Settings().mcp_tools


def test_a_wrong_memory_ends_it_with_a_reason() -> None:
    command = [sys.executable, "-m", "deployments.cli", "mcp"]
    refused = subprocess.run([*command, "--memory", "../x"], capture_output=True, text=True, input="", check=False)
    assert refused.returncode == 0  # nobody asked anything
    asked = '{"jsonrpc":"2.0","id":1,"method":"prompts/list"}\n'
    refused = subprocess.run([*command, "--memory", "../x"], capture_output=True, text=True, input=asked, check=False)
    assert refused.returncode == 1
    assert "../x" in refused.stderr
    assert not refused.stdout


def test_a_tier_that_is_none_is_left_to_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_TOOLS", "many")
    assert told_tier() is None
