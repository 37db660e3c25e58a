"""``neural-memory mcp --local`` as a client starts it: a child process, spoken to over its standard streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[3]
FACT = "The grey cat sleeps on the windowsill."
HANDSHAKE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "ENCODER": "hash",
        "MCP_TOOLS": "full",
        "MEMORY_STORAGE_PATH": str(tmp_path / "v"),
    }


ARGUMENTS = ["-m", "deployments.cli", "mcp", "--local", "--memory", "desk"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_client_drives_it(environment: dict[str, str], mode: Any) -> None:
    started = StdioServerParameters(command=sys.executable, args=ARGUMENTS, env=environment)
    seen: list[float] = []

    async def progress(done: float, _: float | None, __: str | None) -> None:
        seen.append(done)

    async with Client(started, mode=mode, read_timeout_seconds=200) as client:
        assert len((await client.list_tools()).tools) == 15
        created = await client.call_tool("create_memory", {"name": "desk", "units": 256, "variant": "linear"})
        assert not created.is_error, created.content
        learned = await client.call_tool("observe", {"context": FACT}, progress_callback=progress)
        assert learned.structured_content["memory"] == "desk"
        assert seen == [1.0]
        assert FACT in (await client.call_tool("infer", {"prompt": FACT})).structured_content["response"]
        (content,) = (await client.read_resource("memory://desk/stats")).contents
        assert json.loads(content.text)["observation_count"] == 1  # type: ignore[union-attr]
        assert len((await client.list_prompts()).prompts) == 3


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *ARGUMENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment,
    )  # fmt: skip


def test_tools_are_listed_and_nothing_but_protocol_is_written(environment: dict[str, str]) -> None:
    messages = [HANDSHAKE, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}]
    sent = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    with start(environment) as process:
        out, _ = process.communicate(sent, timeout=200)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["id"] for answer in answers] == [0, 1]
    assert process.returncode == 0


def test_messages_that_come_before_the_sdk_are_answered_after_it(environment: dict[str, str]) -> None:
    messages: list[dict[str, Any]] = [
        HANDSHAKE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {"name": "list_memories", "arguments": {}}},
        {"jsonrpc": "2.0", "id": 2, "method": "prompts/list"},
    ]
    with start(environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in messages:
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.write(b"this is no message\n")
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.stdin.close()
        rest = process.stdout.read()
    assert answers[0]["result"]["protocolVersion"] == "2025-06-18"
    by_kind = {"content" if "content" in answer["result"] else "prompts" for answer in answers[1:]}
    assert by_kind == {"content", "prompts"}
    assert all(json.loads(line).get("error") for line in rest.splitlines())
    assert process.returncode == 0
