"""What clients read about the tools before they call one."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from deployments.mcp.catalog import Effect, tools_of, wire_tools
from deployments.mcp.tools import HANDLERS
from tests.unit.mcp_door.conftest import Door

CORE = "observe infer surprise consolidate checkpoint restore fork list_checkpoints stats attention_map explain".split()
MORE = "list_memories create_memory forget predict_next".split()
TOKENS_MAX = 4_000
ARGUMENTS = {
    "observe": {"context", "learning_rate", "domain", "encoding", "session", "metadata", "idempotency_key"},
    "infer": {"prompt", "temperature", "max_tokens", "domain", "occurred_from", "occurred_to", "return_attention"},
    "surprise": {"input", "domain"},
    "consolidate": {"steps", "ewc_lambda"},
    "checkpoint": {"tag", "description", "include_momentum"},
    "restore": {"tag", "restore_momentum"},
    "fork": {"source_tag", "new_tag", "description"},
    "list_checkpoints": {"prefix", "limit", "cursor"},
    "stats": {"detailed"},
    "attention_map": {"query", "top_k", "image"},
    "explain": {"top_k", "domain"},
}
READS = {"infer", "surprise", "list_checkpoints", "stats", "attention_map", "explain", "list_memories", "predict_next"}


def tokens_estimated(text: str) -> int:
    """More than common tokenizers make of JSON: long words count double, marks three by three."""
    pieces = re.findall(r"[^\w\s]?[A-Za-z]+|\d{1,3}|_| ?[^\sA-Za-z0-9]+|\s+", text)
    return sum(math.ceil(len(piece) / (8 if piece[-1].isalpha() else 3)) for piece in pieces)


def by_name(tools: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in tools}


async def test_eleven_tools_are_listed_always_in_the_same_order(door: Door) -> None:
    async with door.client(tier="core") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == CORE


async def test_the_full_tier_adds_four(client: Client) -> None:
    assert [tool.name for tool in (await client.list_tools()).tools] == CORE + MORE
    assert set(HANDLERS) == set(CORE + MORE)


async def test_a_tool_of_the_other_tier_is_unknown(door: Door) -> None:
    async with door.client(tier="core") as client:
        with pytest.raises(Exception, match="Unknown tool"):
            await client.call_tool("forget", {"subject": "cats"})


def test_the_whole_list_fits_in_four_thousand_tokens() -> None:
    core, full = (json.dumps(wire_tools(tier), separators=(",", ":")) for tier in ("core", "full"))
    assert len(core) / 3 < TOKENS_MAX
    assert tokens_estimated(full) < TOKENS_MAX


@pytest.mark.parametrize("name", CORE)
def test_a_tool_takes_exactly_the_arguments_promised_and_a_memory(name: str) -> None:
    schema = by_name(wire_tools("core"))[name]["inputSchema"]
    assert set(schema["properties"]) == ARGUMENTS[name] | {"memory"}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("tool", wire_tools("full"), ids=lambda tool: tool["name"])
def test_schemas_are_json_schema_and_every_entry_is_complete(tool: dict[str, Any]) -> None:
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
    assert tool["title"]
    assert len(tool["description"]) > 10


@pytest.mark.parametrize("tool", tools_of("full"), ids=lambda tool: tool.name)
def test_the_four_hints_say_what_a_tool_does(tool: Any) -> None:
    hints = tool.effect.hints()
    assert set(hints) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert hints["openWorldHint"] is False
    assert hints["readOnlyHint"] is (tool.name in READS)
    assert hints["destructiveHint"] is (tool.name in {"consolidate", "restore", "forget"})
    assert not (hints["readOnlyHint"] and hints["destructiveHint"])
    assert Effect.READS.hints()["idempotentHint"]


def test_listing_tools_loads_neither_torch_nor_ray_nor_the_sdk() -> None:
    code = (
        "import sys; import deployments.cli, deployments.mcp_stdio;"
        "from deployments.mcp.catalog import wire_tools; wire_tools('full');"
        "heavy = {'torch', 'ray', 'mcp', 'mcp_types', 'fastapi', 'transformers', 'httpx'};"
        "heavy |= {'asyncio', 'typer', 'pydantic_settings'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
