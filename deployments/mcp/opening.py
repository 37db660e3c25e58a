"""The first answers over stdio, before the SDK is loaded: clients give up on servers that are slow to list tools.

Answers the handshake, ping and tools/list exactly as the SDK will; anything else, and anything odd, waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from deployments.mcp import identity
from deployments.mcp.tier import Tier

_META: Final = "io.modelcontextprotocol/"
_RICH_REVISIONS: Final = frozenset({"2025-06-18", "2025-11-25"})
"""Older revisions with every field of our tools; before them the SDK leaves some out."""


class Opening:
    """Takes messages, one line each, until one of them needs the SDK."""

    def __init__(self, tier: Tier) -> None:
        self._tier: Tier = tier
        self._revision: str | None = None
        self.replayed: list[bytes] = []
        self.answered_ids: list[str | int] = []
        """Lines that the SDK has to see too, and the ids among them that are answered already."""

    def answer(self, line: bytes) -> bytes | None:
        """The answer to a line (empty when it wants none), or None when it must wait for the SDK."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return None
        if message.get("method") == "notifications/initialized" and "id" not in message and self._revision:
            self.replayed.append(line)
            return b""
        request_id = message.get("id")
        if isinstance(request_id, bool) or not isinstance(request_id, str | int):
            return None
        result = self._result(message, request_id, line)
        if result is None:
            return None
        return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}).encode() + b"\n"

    def _result(self, message: dict[str, Any], request_id: str | int, line: bytes) -> dict[str, Any] | None:
        params = message.get("params", {})
        if not isinstance(params, dict):
            return None
        method = message.get("method")
        if method == "initialize":
            return self._initialize(params, request_id, line)
        is_modern = self._revision is None and _is_modern(params)
        if method == "server/discover" and is_modern:
            return _discovered()
        if method == "ping" and self._revision and set(params) <= {"_meta"}:
            return {}
        if method != "tools/list" or not set(params) <= {"_meta"}:
            return None
        if is_modern:
            hints = {"ttlMs": identity.LIST_TTL_MS, "cacheScope": "public"}
            return _modern({"tools": _tools(self._tier), **hints})
        return {"tools": _tools(self._tier)} if self._revision in _RICH_REVISIONS else None

    def _initialize(self, params: dict[str, Any], request_id: str | int, line: bytes) -> dict[str, Any] | None:
        client = params.get("clientInfo")
        is_plain = (
            self._revision is None
            and isinstance(params.get("protocolVersion"), str)
            and isinstance(params.get("capabilities"), dict)
            and isinstance(client, dict)
            and isinstance(client.get("name"), str)
            and isinstance(client.get("version"), str)
        )
        if not is_plain:
            return None
        asked = params["protocolVersion"]
        self._revision = asked if asked in identity.HANDSHAKE_REVISIONS else identity.HANDSHAKE_REVISIONS[-1]
        self.replayed.append(line)
        self.answered_ids.append(request_id)
        return {
            "protocolVersion": self._revision,
            "capabilities": identity.CAPABILITIES,
            "serverInfo": identity.SERVER_INFO,
            "instructions": identity.INSTRUCTIONS,
        }


def _tools(tier: Tier) -> list[dict[str, Any]]:
    # Only here: a handshake need not wait for the schemas.
    from deployments.mcp.catalog import wire_tools

    return wire_tools(tier)


def _is_modern(params: Mapping[str, Any]) -> bool:
    meta = params.get("_meta")
    return (
        isinstance(meta, dict)
        and meta.get(_META + "protocolVersion") == identity.MODERN_REVISION
        and isinstance(meta.get(_META + "clientCapabilities"), dict)
        and isinstance(meta.get(_META + "clientInfo"), dict)
    )


def _discovered() -> dict[str, Any]:
    return _modern(
        {
            "supportedVersions": [identity.MODERN_REVISION],
            "capabilities": identity.CAPABILITIES,
            "instructions": identity.INSTRUCTIONS,
            "ttlMs": 0,
            "cacheScope": "private",
        }
    )


def _modern(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "resultType": "complete", "_meta": {_META + "serverInfo": identity.SERVER_INFO}}
