"""Malformed MCP messages against a running service: whatever is sent, it answers and lives on."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, Final

import httpx

_TIMEOUT_S: Final = 60.0
_CLIENTS: Final = 8
_HUGE: Final = 2_000_000
_METHODS: Final = (
    "initialize notifications/initialized ping tools/list tools/call resources/list resources/read "
    "resources/templates/list prompts/list prompts/get completion/complete server/discover logging/setLevel "
    "subscriptions/listen tasks/get"
).split()
_TOOLS: Final = (
    "observe infer surprise consolidate checkpoint restore fork list_checkpoints stats attention_map explain forget x"
).split()
_NAMES: Final = (
    "context prompt input query tag source_tag new_tag memory top_k limit cursor steps metadata session encoding "
    "domain learning_rate image detailed uri name arguments ref argument _meta protocolVersion"
).split()
_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01", "x", "")
_STRINGS: Final = (
    "",
    "a",
    "default",
    "../../etc/passwd",
    "\x00",
    "\ud800",
    "💥" * 50,
    "%s%n",
    "memory://x/stats",
    "v1",
)

Message = tuple[bytes, dict[str, str]]


def fuzz_mcp(url: str, cases: int, seed: int = 0) -> tuple[int, int]:
    """Send ``cases`` broken messages to the MCP endpoint ``url``; (sent, crashes).

    A crash is an answer of 500 or above, a connection that breaks without an answer, an answer that is no JSON where
    JSON is announced, or an INTERNAL error from a tool.
    """
    return asyncio.run(_fuzz(url, cases, random.Random(seed)))


async def _fuzz(url: str, cases: int, draw: random.Random) -> tuple[int, int]:
    messages = iter([_message(draw) for _ in range(cases)])
    limits = httpx.Limits(max_connections=_CLIENTS)
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, limits=limits, trust_env=False) as client:
        crashes = await asyncio.gather(*(_drain(client, url, messages) for _ in range(_CLIENTS)))
    return cases, sum(crashes)


async def _drain(client: httpx.AsyncClient, url: str, messages: Any) -> int:
    crashes = 0
    for body, headers in messages:
        crashes += await _is_crash(client, url, body, headers)
    return crashes


async def _is_crash(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        answer = await client.post(url, content=body, headers=headers)
    except httpx.TransportError:
        return True
    if answer.status_code >= 500 or '\\"code\\": \\"INTERNAL\\"' in answer.text:
        return True
    if answer.content and answer.headers.get("content-type", "").startswith("application/json"):
        try:
            answer.json()
        except ValueError:
            return True
    return False


def _message(draw: random.Random) -> Message:
    """One case: half of them close to right, so that they reach deep."""
    maker: Callable[[random.Random], bytes] = draw.choice(
        (_noise, _broken_json, _wrong_envelope, _wrong_params, _wrong_params, _tool_call, _tool_call, _huge, _deep)
    )
    body = maker(draw)
    return body, _headers(draw)


def _headers(draw: random.Random) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if draw.random() < 0.7:
        headers["mcp-protocol-version"] = draw.choice(_VERSIONS)
    if draw.random() < 0.3:
        headers["mcp-method"] = draw.choice(_METHODS)
        headers["mcp-name"] = draw.choice(_TOOLS)
    if draw.random() < 0.05:
        headers["content-type"] = draw.choice(("text/plain", "application/x-www-form-urlencoded", ""))
    if draw.random() < 0.05:
        headers["accept"] = draw.choice(("*/*", "text/html", ""))
    return headers


def _noise(draw: random.Random) -> bytes:
    return draw.randbytes(draw.randrange(200))


def _broken_json(draw: random.Random) -> bytes:
    whole = bytearray(_tool_call(draw))
    for _ in range(draw.randrange(1, 6)):
        place = draw.randrange(len(whole))
        whole[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
    return bytes(whole[: draw.randrange(1, len(whole) + 1)])


def _wrong_envelope(draw: random.Random) -> bytes:
    parts = {"jsonrpc": _value(draw), "id": _value(draw), "method": _value(draw), "params": _value(draw)}
    kept = {key: value for key, value in parts.items() if draw.random() < 0.8}
    return _encoded(draw.choice((kept, [kept] * draw.randrange(4), _value(draw))))


def _wrong_params(draw: random.Random) -> bytes:
    params = draw.choice((_value(draw), _object(draw), {**_object(draw), "_meta": _meta(draw)}))
    return _request(draw.choice(_METHODS), params, draw)


def _tool_call(draw: random.Random) -> bytes:
    params = {"name": draw.choice(_TOOLS), "arguments": draw.choice((_object(draw), _value(draw)))}
    if draw.random() < 0.5:
        params["_meta"] = _meta(draw)
    return _request("tools/call", params, draw)


def _huge(draw: random.Random) -> bytes:
    context: Any = draw.choice(("x" * _HUGE, "word " * (_HUGE // 10), ["x"] * 100_000, 2**12_000))
    return _request("tools/call", {"name": draw.choice(_TOOLS), "arguments": {"context": context}}, draw)


def _deep(draw: random.Random) -> bytes:
    depth = draw.choice((50, 1_000, 100_000))
    start, end = draw.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inner = start * depth + b"1" + end * depth
    return b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"observe","arguments":' + inner + b"}}"


def _request(method: str, params: Any, draw: random.Random) -> bytes:
    message = {"jsonrpc": "2.0", "id": draw.choice((1, "a", 2**70, None, 1.5)), "method": method, "params": params}
    return _encoded(message)


def _meta(draw: random.Random) -> Any:
    right = {
        "io.modelcontextprotocol/protocolVersion": draw.choice(_VERSIONS),
        "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": _value(draw),
    }
    return draw.choice((right, right, {**right, draw.choice(list(right)): _value(draw)}, _value(draw)))


def _object(draw: random.Random) -> dict[str, Any]:
    return {draw.choice(_NAMES): _value(draw) for _ in range(draw.randrange(6))}


def _value(draw: random.Random, depth: int = 0) -> Any:
    plain = (None, True, 0, -1, 2**63, 1e308, float("nan"), draw.choice(_STRINGS), draw.choice(_STRINGS), draw.random())
    if depth < 3 and draw.random() < 0.3:
        return draw.choice(
            (
                [_value(draw, depth + 1) for _ in range(draw.randrange(4))],
                {draw.choice(_NAMES): _value(draw, depth + 1) for _ in range(draw.randrange(4))},
            )
        )
    return draw.choice(plain)


def _encoded(value: Any) -> bytes:
    # Lone surrogates stay escaped, not-a-number stays as Python writes it: both are wrong on purpose.
    return json.dumps(value).encode()
