"""A tool's answer on the wire: the object, the same JSON as text, and a picture when there is one."""

from __future__ import annotations

import base64
import json
from typing import Any

import mcp_types as wire

from deployments.mcp.wire_json import to_plain


def tool_answer(value: Any, png: bytes | None = None) -> wire.CallToolResult:
    """``value`` is one of the answers that the tool's outputSchema describes."""
    plain = to_plain(value)
    content: list[wire.ContentBlock] = [wire.TextContent(type="text", text=json.dumps(plain, ensure_ascii=False))]
    if png is not None:
        data = base64.b64encode(png).decode()
        content.append(wire.ImageContent(type="image", data=data, mime_type="image/png"))
    return wire.CallToolResult(content=content, structured_content=plain)
