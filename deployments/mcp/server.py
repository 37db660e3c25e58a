"""The MCP server: every request finds its caller, is checked, and is answered or fails in the protocol's own terms."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import mcp_types as wire
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from deployments.mcp import identity, prompts, resources
from deployments.mcp.caller import FindCaller
from deployments.mcp.catalog import tools_of, wire_tools
from deployments.mcp.completion import complete
from deployments.mcp.failures import as_error, error_answer, protocol_error
from deployments.mcp.tier import Tier
from deployments.mcp.tools import HANDLERS, WithPicture
from deployments.mcp.wire_content import tool_answer

Context = ServerRequestContext[Any, Any]
_Result = TypeVar("_Result")

_LISTS: Final[tuple[CacheableMethod, ...]] = ("tools/list", "prompts/list", "resources/templates/list")


class MemoryServer:
    """The handlers of one server; ``find_caller`` tells on whose behalf a request is made."""

    def __init__(self, find_caller: FindCaller, tier: Tier) -> None:
        self._find_caller = find_caller
        self._descriptions = {tool.name: tool for tool in tools_of(tier)}
        self._tools = [wire.Tool.model_validate(tool) for tool in wire_tools(tier)]

    async def list_tools(self, _: Context, __: wire.PaginatedRequestParams | None) -> wire.ListToolsResult:
        """tools/list: always the same, whatever memories there are."""
        return wire.ListToolsResult(tools=self._tools)

    async def call_tool(self, context: Context, params: wire.CallToolRequestParams) -> wire.CallToolResult:
        """tools/call. What a model could have avoided is an answer; an unknown tool is a protocol error."""
        description = self._descriptions.get(params.name)
        if description is None:
            raise MCPError(code=wire.INVALID_PARAMS, message="Unknown tool.", data={"tools": list(self._descriptions)})
        try:
            sent = description.arguments.model_validate(params.arguments or {})
            caller = await self._find_caller(context.request)
            answer = await HANDLERS[params.name](caller, sent, context.session.report_progress)
        except MCPError:
            raise
        except Exception as error:
            return error_answer(as_error(error, f"The tool {params.name}"))
        return tool_answer(answer.answer, answer.png) if isinstance(answer, WithPicture) else tool_answer(answer)

    async def list_resources(
        self, context: Context, params: wire.PaginatedRequestParams | None
    ) -> wire.ListResourcesResult:
        """resources/list."""
        cursor = params.cursor if params is not None else None
        return await _answered(resources.list_resources(await self._caller(context), cursor), "resources/list")

    async def list_templates(
        self, _: Context, __: wire.PaginatedRequestParams | None
    ) -> wire.ListResourceTemplatesResult:
        """resources/templates/list."""
        return wire.ListResourceTemplatesResult(resource_templates=resources.TEMPLATES)

    async def read_resource(self, context: Context, params: wire.ReadResourceRequestParams) -> wire.ReadResourceResult:
        """resources/read."""
        return await _answered(resources.read_resource(await self._caller(context), str(params.uri)), "resources/read")

    async def list_prompts(self, _: Context, __: wire.PaginatedRequestParams | None) -> wire.ListPromptsResult:
        """prompts/list."""
        return wire.ListPromptsResult(prompts=prompts.PROMPTS)

    async def get_prompt(self, context: Context, params: wire.GetPromptRequestParams) -> wire.GetPromptResult:
        """prompts/get."""
        return await _answered(
            prompts.get_prompt(await self._caller(context), params.name, params.arguments or {}), "prompts/get"
        )

    async def complete(self, context: Context, params: wire.CompleteRequestParams) -> wire.CompleteResult:
        """completion/complete."""
        chosen = (params.context.arguments if params.context is not None else None) or {}
        caller = await self._caller(context)
        argument = params.argument
        found = await _answered(complete(caller, argument.name, argument.value, chosen), "completion/complete")
        return wire.CompleteResult(completion=found)

    async def _caller(self, context: Context) -> Any:
        return await _answered(self._find_caller(context.request), context.method)


def build_server(find_caller: FindCaller, tier: Tier) -> Server[Any]:
    """An MCP server over the memories that ``find_caller`` gives."""
    handlers = MemoryServer(find_caller, tier)
    return Server(
        identity.NAME,
        version=identity.VERSION,
        title=identity.TITLE,
        instructions=identity.INSTRUCTIONS,
        cache_hints={method: CacheHint(ttl_ms=identity.LIST_TTL_MS, scope="public") for method in _LISTS},
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
        on_completion=handlers.complete,
    )


async def _answered(work: Awaitable[_Result], what: str) -> _Result:
    try:
        return await work
    except MCPError:
        raise
    except Exception as error:
        raise protocol_error(as_error(error, what)) from None
