"""What our own tools never send still passes our transport: the example server of the conformance suite, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.held_open import held_open
from tests.unit.mcp_door.example_server import build_example

URL = "http://127.0.0.1/mcp"


@pytest.fixture(params=["auto", "legacy"])
async def example(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    app = build_example()
    transport = httpx2.ASGITransport(app)
    async with (
        held_open(app.router.lifespan_context(app)),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
        held_open(Client(streamable_http_client(URL, http_client=http), mode=request.param)) as client,
    ):
        yield client


async def test_every_kind_of_content_arrives(example: Client) -> None:
    kinds = {
        name: [block.type for block in (await example.call_tool(name)).content]
        for name in ("test_image_content", "test_audio_content", "test_multiple_content_types")
    }
    assert kinds == {
        "test_image_content": ["image"],
        "test_audio_content": ["audio"],
        "test_multiple_content_types": ["text", "image", "resource"],
    }


async def test_progress_arrives_in_order_before_the_answer(example: Client) -> None:
    seen: list[float] = []

    async def note(done: float, _: float | None, __: str | None) -> None:
        seen.append(done)

    answer = await example.call_tool("test_tool_with_progress", progress_callback=note)
    assert not answer.is_error
    assert seen == [0, 50, 100]


async def test_errors_keep_their_kind(example: Client) -> None:
    assert (await example.call_tool("test_error_handling")).is_error
    with pytest.raises(MCPError, match="Unknown tool"):
        await example.call_tool("none")
    with pytest.raises(MCPError, match="Unknown resource"):
        await example.read_resource("test://none")


async def test_resources_prompts_and_completion_arrive(example: Client) -> None:
    (blob,) = (await example.read_resource("test://static-binary")).contents
    assert blob.mime_type == "image/png"
    (filled,) = (await example.read_resource("test://template/7/data")).contents
    assert '"7"' in filled.text  # type: ignore[union-attr]
    told = await example.get_prompt("test_prompt_with_embedded_resource", {"resourceUri": "test://x"})
    assert [message.content.type for message in told.messages] == ["resource", "text"]
