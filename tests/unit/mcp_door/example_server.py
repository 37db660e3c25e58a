"""The tools, resources and prompts that the official conformance suite calls, behind our own transport.

Run as a module with a port, then point the suite at it; see docs/mcp.md. Our server has none of these, so without it
the suite sees of most of its scenarios only that a tool is unknown.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any, Final

import mcp_types as wire
import uvicorn
from fastapi import FastAPI
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from deployments.http.envelope import Envelope
from deployments.http.packing import Packed
from deployments.mcp.failures import as_error, error_answer
from deployments.mcp.web import mount
from memory_core.errors import InvalidInput

Context = ServerRequestContext[Any, Any]

_PNG: Final = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
        "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
    )
).decode()
_WAV: Final = base64.b64encode(
    b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x02\x00\x00\x00\x00\x00"
).decode()
_TEMPLATE: Final = "test://template/{id}/data"
_TEXTS: Final = {"test://static-text": "This is the content of the static text resource."}


def _text(text: str) -> wire.TextContent:
    return wire.TextContent(text=text)


def _image() -> wire.ImageContent:
    return wire.ImageContent(data=_PNG, mime_type="image/png")


def _resource(uri: str, text: str, mime_type: str = "text/plain") -> wire.EmbeddedResource:
    return wire.EmbeddedResource(resource=wire.TextResourceContents(uri=uri, mime_type=mime_type, text=text))


_CONTENT: Final[dict[str, list[wire.ContentBlock]]] = {
    "test_simple_text": [_text("This is a simple text response for testing.")],
    "test_image_content": [_image()],
    "test_audio_content": [wire.AudioContent(data=_WAV, mime_type="audio/wav")],
    "test_embedded_resource": [_resource("test://embedded-resource", "This is an embedded resource content.")],
    "test_multiple_content_types": [
        _text("Multiple content types test:"),
        _image(),
        _resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
    "test_tool_with_progress": [_text("Done.")],
    "test_error_handling": [],
}


async def list_tools(_: Context, __: wire.PaginatedRequestParams | None) -> wire.ListToolsResult:
    schema = {"type": "object", "additionalProperties": False}
    return wire.ListToolsResult(
        tools=[wire.Tool(name=name, description=f"Tool {name}.", input_schema=schema) for name in _CONTENT]
    )


async def call_tool(context: Context, params: wire.CallToolRequestParams) -> wire.CallToolResult:
    """As our own server: an unknown tool is a protocol error, what a tool raises is an answer."""
    if params.name not in _CONTENT:
        raise MCPError(code=wire.INVALID_PARAMS, message="Unknown tool.")
    if params.name == "test_error_handling":
        error = InvalidInput("This tool intentionally returns an error for testing", hint="Expect it.")
        return error_answer(as_error(error, params.name))
    if params.name == "test_tool_with_progress":
        for done in (0, 50, 100):
            await context.session.report_progress(done, 100)
            await asyncio.sleep(0.05)
    return wire.CallToolResult(content=_CONTENT[params.name])


async def list_resources(_: Context, __: wire.PaginatedRequestParams | None) -> wire.ListResourcesResult:
    uris = (*_TEXTS, "test://static-binary")
    return wire.ListResourcesResult(
        resources=[wire.Resource(uri=uri, name=uri, description=uri, mime_type="text/plain") for uri in uris]
    )


async def list_templates(_: Context, __: wire.PaginatedRequestParams | None) -> wire.ListResourceTemplatesResult:
    return wire.ListResourceTemplatesResult(
        resource_templates=[wire.ResourceTemplate(uri_template=_TEMPLATE, name="data")]
    )


async def read_resource(_: Context, params: wire.ReadResourceRequestParams) -> wire.ReadResourceResult:
    uri = str(params.uri)
    contents: wire.TextResourceContents | wire.BlobResourceContents
    if uri in _TEXTS:
        contents = wire.TextResourceContents(uri=uri, mime_type="text/plain", text=_TEXTS[uri])
    elif uri == "test://static-binary":
        contents = wire.BlobResourceContents(uri=uri, mime_type="image/png", blob=_PNG)
    elif uri.startswith("test://template/") and uri.endswith("/data"):
        number = uri.split("/")[-2]
        told = json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})
        contents = wire.TextResourceContents(uri=uri, mime_type="application/json", text=told)
    else:
        raise MCPError(code=wire.INVALID_PARAMS, message="Unknown resource.", data={"uri": uri})
    return wire.ReadResourceResult(contents=[contents])


def _prompt(name: str, *arguments: str) -> wire.Prompt:
    takes = [wire.PromptArgument(name=one, description=one, required=True) for one in arguments]
    return wire.Prompt(name=name, description=f"Prompt {name}.", arguments=takes)


_PROMPTS: Final = (
    _prompt("test_simple_prompt"),
    _prompt("test_prompt_with_arguments", "arg1", "arg2"),
    _prompt("test_prompt_with_embedded_resource", "resourceUri"),
    _prompt("test_prompt_with_image"),
)


async def list_prompts(_: Context, __: wire.PaginatedRequestParams | None) -> wire.ListPromptsResult:
    return wire.ListPromptsResult(prompts=list(_PROMPTS))


async def get_prompt(_: Context, params: wire.GetPromptRequestParams) -> wire.GetPromptResult:
    given = params.arguments or {}
    told: dict[str, list[wire.ContentBlock]] = {
        "test_simple_prompt": [_text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            _text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
        ],
        "test_prompt_with_embedded_resource": [
            _resource(given.get("resourceUri", ""), "Embedded resource content for testing."),
            _text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": [_image(), _text("Please analyze the image above.")],
    }
    if params.name not in told:
        raise MCPError(code=wire.INVALID_PARAMS, message="Unknown prompt.")
    return wire.GetPromptResult(messages=[wire.PromptMessage(role="user", content=one) for one in told[params.name]])


async def complete(_: Context, params: wire.CompleteRequestParams) -> wire.CompleteResult:
    found = [value for value in ("paris", "park", "party") if value.startswith(params.argument.value)]
    return wire.CompleteResult(completion=wire.Completion(values=found, total=len(found), has_more=False))


def build_example() -> FastAPI:
    """The example server where ours would be: the same mount, and the layers around an application of ours."""
    server: Server[Any] = Server(
        "example",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    app = FastAPI()
    mount(app, server, allowed_hosts=(), max_body_bytes=1 << 20)
    app.add_middleware(Packed)
    app.add_middleware(Envelope, deadline_s=60.0, long_deadline_s=60.0)
    return app


if __name__ == "__main__":
    uvicorn.run(build_example, factory=True, port=int(sys.argv[1]), log_level="warning")
