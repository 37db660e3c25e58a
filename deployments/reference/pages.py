"""All generated pages, by file name. The site is built with them; KEPT ones are in the repository as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from deployments.reference.command_page import command_page
from deployments.reference.error_page import error_page
from deployments.reference.http_page import http_page
from deployments.reference.mcp_page import mcp_page
from deployments.settings_table import settings_page

KEPT: Final = ("settings.md",)
_MARK: Final = "<!-- Written by the code that it describes; changes here are lost: make reference -->\n"
_PAGES: Final[dict[str, tuple[str, str, Callable[[], str]]]] = {
    "settings.md": (
        "Settings",
        "Read from the environment by one class, `deployments/settings.py`. `neural-memory config` shows each with its "
        "value and where that comes from. Options of `neural-memory serve` win over variables.",
        settings_page,
    ),
    "http.md": (
        "HTTP",
        "Every route of the service, from its OpenAPI document. A running service shows the same at `/docs`, with "
        "forms to try it. Errors: [errors](errors.md).",
        http_page,
    ),
    "mcp.md": ("MCP", "What an MCP client sees. How to set one up: [Memories over MCP](../mcp.md).", mcp_page),
    "commands.md": ("Commands", "Every command of `neural-memory`, from the program itself.", command_page),
    "errors.md": (
        "Errors",
        'Every failure is `{"error": {"code", "message", "hint", "retry_after_s"}}`: what happened, and the next step.',
        error_page,
    ),
}


def pages() -> dict[str, str]:
    """The text of each page."""
    return {name: f"# {title}\n\n{_MARK}\n{said}\n\n{make()}" for name, (title, said, make) in _PAGES.items()}
