"""mcp, mcp install."""

from __future__ import annotations

from typing import Annotated, Final

import typer

mcp_app: Final = typer.Typer(
    help="Speak MCP over standard input and output.", invoke_without_command=True, add_completion=False
)

UrlOption = Annotated[
    str | None, typer.Option("--url", help="The service to speak to.", show_default="http://127.0.0.1:8000")
]
LocalOption = Annotated[
    bool, typer.Option("--local", help="Work on the volume in this process, without a service. One process at a time.")
]
MemoryOption = Annotated[str | None, typer.Option(help="The memory it works on.", show_default="default")]


@mcp_app.callback()
def mcp(context: typer.Context, url: UrlOption = None, local: LocalOption = False, memory: MemoryOption = None) -> None:
    """Speak MCP over standard input and output, for clients that start their servers themselves."""
    if context.invoked_subcommand is not None:
        return
    from deployments.mcp_stdio import run_stdio
    from deployments.settings import Settings

    run_stdio(Settings(), url=url, is_local=local, memory=memory)
