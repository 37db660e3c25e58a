"""``neural-memory mcp``: stdio in front of a running service, or of the volume itself in this process.

Clients wait for the list of tools, so until it is out nothing is loaded that it does not need: no command line
library, no settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from deployments.mcp.stdio import Behind, serve_stdio
from deployments.mcp_tier import told_tier


@dataclass(frozen=True, slots=True)
class StdioOptions:
    """url: of the service; None: that of the settings. memory: the connection's own; None: that of the settings."""

    url: str | None = None
    is_local: bool = False
    memory: str | None = None


def plain_options(words: Sequence[str]) -> StdioOptions | None:
    """The options on a command line that names them in full; None for any other, which Typer reads."""
    options, left = StdioOptions(), iter(words)
    for word in left:
        name, has_value, value = word.partition("=")
        if word == "--local":
            options = replace(options, is_local=True)
        elif name in {"--url", "--memory"} and (given := value if has_value else next(left, None)) is not None:
            options = replace(options, url=given) if name == "--url" else replace(options, memory=given)
        else:
            return None
    return options


def run_stdio(options: StdioOptions) -> None:
    """Serve one client over standard input and output until it leaves."""
    tier = told_tier()
    load = partial(_load, options)
    if tier is None:
        from deployments.settings import Settings

        tier = Settings().mcp_tools
    serve_stdio(load, tier)


def _load(options: StdioOptions) -> Behind:
    from deployments.mcp_connection import LazyConnection
    from deployments.settings import Settings
    from memory_core.ids import parse_memory_name

    settings = Settings()
    memory = parse_memory_name(options.memory or settings.mcp_memory)
    connection = LazyConnection(settings, options.url, options.is_local, memory)
    return Behind(connection.find_caller, connection.close)
