"""The first answers over stdio are those that the SDK would give, message by message."""

from __future__ import annotations

import io
import json
from typing import Any

import anyio
import pytest
from mcp.server.stdio import stdio_server

from deployments.mcp import identity
from deployments.mcp.opening import Opening
from deployments.mcp.server import build_server
from tests.unit.mcp_door.conftest import Door

META = "io.modelcontextprotocol/"
MODERN_META = {
    META + "protocolVersion": "2026-07-28",
    META + "clientInfo": {"name": "test", "version": "1"},
    META + "clientCapabilities": {},
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def asked(request_id: int | str, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **({} if params is None else {"params": params})}


def handshake(revision: str) -> dict[str, Any]:
    client = {"name": "test", "version": "1"}
    return asked("h", "initialize", {"protocolVersion": revision, "capabilities": {}, "clientInfo": client})


def lines(*messages: dict[str, Any]) -> list[bytes]:
    return [json.dumps(message).encode() + b"\n" for message in messages]


class Sink:
    """Collects what the SDK writes."""

    def __init__(self) -> None:
        self.answers: dict[Any, dict[str, Any]] = {}

    async def write(self, text: str) -> None:
        message = json.loads(text)
        self.answers[message["id"]] = message

    async def flush(self) -> None:
        return


async def from_sdk(door: Door, sent: list[bytes]) -> dict[Any, dict[str, Any]]:
    sink = Sink()
    server = build_server(door.find_caller, "full")
    source = anyio.wrap_file(io.StringIO(b"".join(sent).decode()))
    async with stdio_server(source, sink) as (read, write):  # type: ignore[arg-type]
        await server.run(read, write, server.create_initialization_options())
    return sink.answers


@pytest.mark.parametrize("revision", [*identity.HANDSHAKE_REVISIONS, "2027-01-01", "nonsense"])
async def test_a_handshake_is_answered_as_by_the_sdk(door: Door, revision: str) -> None:
    sent = lines(
        handshake(revision),
        READY,
        asked(2, "ping"),
        asked(3, "tools/list"),
        asked("four", "tools/list", {}),
        asked(5, "tools/list", {"_meta": {"progressToken": 1}}),
    )
    opening = Opening("full")
    answers = [opening.answer(line) for line in sent]
    expected = await from_sdk(door, sent)
    given = [json.loads(answer) for answer in answers if answer]
    assert answers[1] == b""
    assert given == [expected[answer["id"]] for answer in given]
    assert len(given) == (5 if revision not in {"2024-11-05", "2025-03-26"} else 2)
    assert opening.replayed == sent[:2]
    assert opening.answered_ids == ["h"]


async def test_the_newest_revision_is_answered_as_by_the_sdk(door: Door) -> None:
    sent = lines(
        asked(1, "server/discover", {"_meta": MODERN_META}),
        asked(2, "tools/list", {"_meta": MODERN_META}),
    )
    opening = Opening("full")
    given = [json.loads(opening.answer(line) or b"null") for line in sent]
    expected = await from_sdk(door, sent)
    assert given == [expected[1], expected[2]]
    assert not opening.replayed


@pytest.mark.parametrize(
    "message",
    [
        asked(1, "tools/call", {"name": "stats", "arguments": {}}),
        asked(1, "tools/list"),
        asked(1, "tools/list", {"_meta": {META + "protocolVersion": "2099-01-01"}}),
        asked(1, "tools/list", {"_meta": MODERN_META, "cursor": "x"}),
        asked(1, "initialize", {"protocolVersion": 3, "capabilities": {}, "clientInfo": {}}),
        asked(1, "initialize", {}),
        asked(1, "ping"),
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": True, "method": "ping"},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        READY,
    ],
)
def test_anything_else_waits_for_the_sdk(message: dict[str, Any]) -> None:
    assert Opening("full").answer(lines(message)[0]) is None


@pytest.mark.parametrize("line", [b"", b"\n", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_message_waits_for_the_sdk(line: bytes) -> None:
    assert Opening("core").answer(line) is None


async def test_what_the_handshake_promises_is_what_the_server_can_do(door: Door) -> None:
    server = build_server(door.find_caller, "core")
    capabilities = server.get_capabilities().model_dump(by_alias=True, exclude_none=True, mode="json")
    assert capabilities == identity.CAPABILITIES
    assert server.server_info_stamp == identity.SERVER_INFO
