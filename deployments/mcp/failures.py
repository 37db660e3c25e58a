"""How failures reach a model: an answer that says what happened and what to do, or a protocol error."""

from __future__ import annotations

import json
import logging
import traceback

import mcp_types as wire
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from deployments.error_map import error_content, http_status
from memory_core.errors import Internal, InvalidInput, NeuralMemoryError

_log = logging.getLogger(__name__)


def error_answer(error: NeuralMemoryError) -> wire.CallToolResult:
    """A tool's answer that a model can act on: ``{"error": {code, message, hint, retry_after_s?}}``."""
    text = json.dumps({"error": error_content(error)}, ensure_ascii=False)
    return wire.CallToolResult(content=[wire.TextContent(type="text", text=text)], is_error=True)


def protocol_error(error: NeuralMemoryError) -> MCPError:
    """The JSON-RPC error of requests that have no answer of their own to carry it (resources, prompts)."""
    is_callers = http_status(error) < 500 and not error.retryable
    code = wire.INVALID_PARAMS if is_callers else wire.INTERNAL_ERROR
    return MCPError(code=code, message=str(error), data=error_content(error))


def as_error(error: Exception, what: str) -> NeuralMemoryError:
    """The error to report for anything that a handler raised; a bug is logged by its frames alone."""
    if isinstance(error, NeuralMemoryError):
        return error
    if isinstance(error, ValidationError):
        return invalid_arguments(error)
    # Only the frames: the message of a foreign exception can hold the text of an observation.
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("%s failed with %s\n%s", what, type(error).__name__, frames)
    return Internal("The service failed on this request.", hint="Report it with the service's log.")


def invalid_arguments(error: ValidationError) -> InvalidInput:
    """Names every argument that does not fit, never its value."""
    problems = [
        f"{'.'.join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in one['loc'])[:80]}: "
        f"{one['msg']}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return InvalidInput(
        f"The arguments do not fit. {'; '.join(problems[:5])}.", hint="See the tool's inputSchema and call again."
    )
