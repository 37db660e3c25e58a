"""Every snippet of README and documentation runs as it stands, some with the slow tests; one that cannot says why."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client

from deployments.bench.fuzz_target import running_target
from deployments.ports import free_port
from tests.docs.snippets import PAGES, PYTHON, ROOT, Snippet, is_slow, needs_service, runnable, script, snippets

ALONE = [page for page in PAGES if runnable(page) and not needs_service(page)]
QUICKSTART = ROOT / "docs" / "index.md"
SERVED = [page for page in PAGES if needs_service(page) and page != QUICKSTART]
SLOW = [page for page in PAGES if is_slow(page)]
TIMEOUT_S = 240


def environment(folder: Path, port: int) -> dict[str, str]:
    """A home of its own, with the command on the path."""
    commands = folder / "bin"
    commands.mkdir()
    command = commands / "neural-memory"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m deployments.cli "$@"\n')
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in {"PORT", "ENCODER"}}
    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {
        **kept, "HOME": str(folder), "PATH": path, "PYTHONPATH": str(ROOT), "PORT": str(port), "ENCODER": "hash",
        "PYTHONWARNINGS": "ignore",
    }  # fmt: skip


def run_page(page: Path, folder: Path, port: int, *, slow: bool = False) -> None:
    """Run the page's snippets in order, in one folder."""
    given = environment(folder, port)
    for snippet in runnable(page, slow=slow):
        run_snippet(snippet, folder, given, timeout_s=TIMEOUT_S * (2 if slow else 1))


def run_served(page: Path, folder: Path, *, slow: bool = False) -> None:
    """Run a page that starts a service, and end that."""
    port = free_port()
    try:
        run_page(page, folder, port, slow=slow)
    finally:
        stop(port, folder)


def run_snippet(snippet: Snippet, folder: Path, given: dict[str, str], *, timeout_s: float = TIMEOUT_S) -> None:
    program = [sys.executable, "-c"] if snippet.language in PYTHON else ["bash", "-c"]
    done = subprocess.run(
        [*program, script(snippet, int(given["PORT"]))],
        cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip
    said = f"{snippet.page}, snippet {snippet.number}:\n{snippet.code}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said


def stop(port: int, folder: Path) -> None:
    """End the service that a page left running."""
    given = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "deployments.cli", "stop", "--port", str(port)]
    subprocess.run(command, env=given, capture_output=True, check=False, timeout=TIMEOUT_S)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", ALONE, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path) -> None:
    with running_target(tmp_path / "volume") as url:
        run_page(page, tmp_path, int(url.rpartition(":")[2]))


@pytest.mark.ray
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", SERVED, ids=lambda page: page.name)
def test_the_snippets_of_a_page_that_starts_a_service_run(page: Path, tmp_path: Path) -> None:
    run_served(page, tmp_path)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", SLOW, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run_with_those_that_take_long(page: Path, tmp_path: Path) -> None:
    run_served(page, tmp_path, slow=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_other_fence_is_what_it_says(page: Path) -> None:
    for code in re.findall(r"^```json\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        json.loads(code)


def test_a_snippet_that_is_not_run_says_why() -> None:
    skipped = [one for page in PAGES for one in snippets(page) if one.reason is not None]
    assert skipped
    assert all(one.reason is not None and len(one.reason) > 10 for one in skipped)


def commands_of_the_quickstart() -> list[str]:
    first, second, *_ = snippets(QUICKSTART)
    return [line for one in (first, second) for line in one.code.splitlines() if line.strip()]


def test_the_quickstart_takes_at_most_five_commands() -> None:
    assert 1 <= len(commands_of_the_quickstart()) <= 5


async def use(url: str) -> list[str]:
    """Teach, ask, and name the tools."""
    async with Client(url) as client:
        await client.call_tool("observe", {"context": "The release train leaves on Thursdays."})
        answer = await client.call_tool("infer", {"prompt": "When does the release train leave?"})
        assert answer.structured_content is not None
        assert answer.structured_content["response"] == "The release train leaves on Thursdays."
        return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_after_the_quickstart_an_mcp_client_works(tmp_path: Path) -> None:
    port = free_port()
    given = environment(tmp_path, port)
    serve_and_install, *rest = runnable(QUICKSTART)
    try:
        run_snippet(serve_and_install, tmp_path, given)
        written = json.loads((tmp_path / ".mcp.json").read_text(encoding="utf-8"))
        (server,) = written["mcpServers"].values()
        assert "observe" in asyncio.run(use(server["url"]))
        for snippet in rest:
            run_snippet(snippet, tmp_path, given)
    finally:
        stop(port, tmp_path)
