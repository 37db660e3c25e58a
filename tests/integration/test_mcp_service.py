"""MCP through the whole service: the SDK's client, two ingress replicas, two protocol generations."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import ResourceTemplateReference

from deployments.bench.fuzz_mcp import fuzz_mcp
from deployments.ports import free_port
from deployments.settings import Settings
from memory_core.ids import MemoryName
from tests.held_open import held_open

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

FACT = "The grey cat sleeps on the windowsill."
SMALL = {"units": 256, "variant": "linear"}
FUZZ_CASES = 250


@pytest.fixture(scope="module")
def settings(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A service with two ingress replicas; its settings say where."""
    with warnings.catch_warnings():
        # Ray's own use of pydantic is not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from ray import serve

        from deployments.serve_process import deploy

    volume = tmp_path_factory.mktemp("mcp") / "v"
    running = Settings(
        memory_storage_path=str(volume),
        port=free_port(),
        encoder="hash",
        log_level="WARNING",
        mcp_tools="full",
        ingress_replicas=2,
    )
    deploy(running)
    yield running
    serve.shutdown()


@pytest.fixture(params=["auto", "legacy"])
async def client(settings: Settings, fresh_name: MemoryName, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Connected to a memory that does not exist yet; deleted at the end with all its forks."""
    url = f"{settings.base_url}/memories/{fresh_name}/mcp"
    async with held_open(Client(url, mode=request.param, read_timeout_seconds=120)) as opened:
        yield opened
    from deployments.http_client import RemoteBackend

    remote = RemoteBackend(settings.base_url)
    for info in (await remote.list_memories()).memories:
        await remote.delete(info.name)
    await remote.close()


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    structured: dict[str, Any] = result.structured_content
    return structured


async def test_every_tool_works_on_real_memories(client: Client, fresh_name: MemoryName) -> None:
    assert len((await client.list_tools()).tools) == 15
    assert (await call(client, "create_memory", name=fresh_name, **SMALL))["name"] == fresh_name
    assert (await call(client, "observe", context=FACT, session="s"))["learned"]
    await call(client, "observe", context="It wakes when the post arrives.", session="s", domain="pets")
    assert FACT in (await call(client, "infer", prompt=FACT, return_attention=True))["response"]
    assert (await call(client, "surprise", input=FACT))["score"] < 0.2
    assert (await call(client, "checkpoint", tag="v1"))["observation_count"] == 2
    assert (await call(client, "consolidate", steps=1))["memory"] == fresh_name
    assert (await call(client, "stats", detailed=True))["capacity"]["pairs"] >= 1
    assert (await call(client, "explain"))["patterns"]
    assert (await call(client, "predict_next", text=FACT))["continuations"]
    picture = await client.call_tool("attention_map", {"query": "the cat", "image": True})
    assert [block.type for block in picture.content] == ["text", "image"]
    assert (await call(client, "forget", subject="windowsill"))["exemplars_removed"] == 1
    assert (await call(client, "restore", tag="v1"))["tag"] == "v1"
    twin = await call(client, "fork", source_tag="v1", new_tag=f"{fresh_name}-twin", description="to try")
    assert twin["parent"] == fresh_name
    assert [one["tag"] for one in (await call(client, "list_checkpoints"))["checkpoints"]] == ["v1"]
    assert len((await call(client, "list_memories"))["memories"]) == 2


async def test_resources_prompts_and_completion_work(client: Client, fresh_name: MemoryName) -> None:
    await call(client, "create_memory", name=fresh_name, **SMALL)
    await call(client, "observe", context=FACT)
    await call(client, "checkpoint", tag="v1")
    for kind in ("stats", "patterns", "checkpoints", "checkpoints/v1"):
        (content,) = (await client.read_resource(f"memory://{fresh_name}/{kind}")).contents
        assert json.loads(content.text)  # type: ignore[union-attr]
    expected = [f"memory://{fresh_name}/{kind}" for kind in ("stats", "patterns", "checkpoints", "jobs")]
    assert [one.uri for one in (await client.list_resources()).resources] == expected
    assert len((await client.list_resource_templates()).resource_templates) == 5
    for prompt in (await client.list_prompts()).prompts:
        arguments = {"question": "Where does the cat sleep?"} if prompt.name.startswith("recall") else {}
        assert (await client.get_prompt(prompt.name, arguments)).messages
    reference = ResourceTemplateReference(type="ref/resource", uri="memory://{name}/checkpoints/{tag}")
    names = await client.complete(reference, {"name": "name", "value": fresh_name[:8]})
    assert names.completion.values == [fresh_name]
    tags = await client.complete(reference, {"name": "tag", "value": "v"}, context_arguments={"name": fresh_name})
    assert tags.completion.values == ["v1"]


async def test_progress_comes_while_a_long_text_is_learned(client: Client, fresh_name: MemoryName) -> None:
    await call(client, "create_memory", name=fresh_name, **SMALL)
    seen: list[float] = []

    async def progress(done: float, _: float | None, __: str | None) -> None:
        seen.append(done)

    context = "\n\n".join(f"Paragraph {number} says something of its own. " * 40 for number in range(12))
    result = await client.call_tool("observe", {"context": context}, progress_callback=progress)
    assert seen == [float(part) for part in range(1, result.structured_content["parts"] + 1)]
    assert len(seen) > 2


async def test_any_replica_answers_the_next_request(settings: Settings, client: Client) -> None:
    await call(client, "observe", context=FACT)
    answers = await asyncio.gather(*(call(client, "infer", prompt=FACT) for _ in range(20)))
    assert all(FACT in answer["response"] for answer in answers)
    assert settings.ingress_replicas == 2


async def test_broken_messages_break_nothing(settings: Settings, client: Client) -> None:
    sent, crashes = await asyncio.to_thread(fuzz_mcp, f"{settings.base_url}/mcp", FUZZ_CASES, 11)
    assert (sent, crashes) == (FUZZ_CASES, 0)
    assert (await call(client, "observe", context=FACT))["learned"]


async def test_stdio_in_front_of_the_service_does_the_same(settings: Settings, client: Client, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": root, "MCP_TOOLS": "full"}
    arguments = ["-m", "deployments.cli", "mcp", "--url", settings.base_url, "--memory", "desk"]
    started = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
    seen: list[float] = []

    async def progress(done: float, _: float | None, __: str | None) -> None:
        seen.append(done)

    async with Client(started, read_timeout_seconds=200) as desk:
        await call(desk, "create_memory", name="desk", **SMALL)
        await call(desk, "observe", context=FACT)
        result = await desk.call_tool("consolidate", {"steps": 2}, progress_callback=progress)
        assert not result.is_error
        assert seen == sorted(seen)
    assert FACT in (await call(client, "infer", prompt=FACT, memory="desk"))["response"]
