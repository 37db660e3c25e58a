"""Tools, resources and prompts, from the catalogue that clients are sent."""

from __future__ import annotations

from typing import Any

from deployments.mcp.catalog import tools_of
from deployments.mcp.prompts import PROMPTS
from deployments.mcp.resources import TEMPLATES


def mcp_page() -> str:
    """A section each; arguments in a table."""
    core = {tool.name for tool in tools_of("core")}
    parts = ["## Tools\n"]
    for tool in tools_of("full"):
        wire = tool.to_wire()
        tier = "" if tool.name in core else " Only with `MCP_TOOLS=full`."
        flags = [name.removesuffix("Hint") for name, is_set in wire["annotations"].items() if is_set]
        parts.append(f"### {tool.name}\n\n{tool.description}{tier}\n\nHints: {', '.join(flags) or 'none'}.\n")
        parts.append(_arguments(wire["inputSchema"]))
        parts.append(f"Answers with: {', '.join(f'`{name}`' for name in wire['outputSchema']['properties'])}.\n")
    parts.append("## Resources\n")
    parts += [f"- `{one.uri_template}`: {one.description}" for one in TEMPLATES]
    parts.append("\n## Prompts\n")
    for prompt in PROMPTS:
        names = ", ".join(f"`{argument.name}`" for argument in prompt.arguments or [])
        parts.append(f"- `{prompt.name}` ({names}): {prompt.description}")
    return "\n".join(parts) + "\n"


def _arguments(schema: dict[str, Any]) -> str:
    properties = schema.get("properties", {})
    if not properties:
        return "Takes nothing.\n"
    lines = ["| argument | type | meaning |", "|---|---|---|"]
    for name, found in properties.items():
        needed = " (required)" if name in schema.get("required", ()) else ""
        lines.append(f"| `{name}`{needed} | {_kind(found)} | {found.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    return str(schema.get("type", "any"))
