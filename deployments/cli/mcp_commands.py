"""mcp, mcp install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from deployments.mcp.clients import ENTRY_NAME, KEY_VARIABLE, McpClient

mcp_app: Final = typer.Typer(
    help="Speak MCP over standard input and output, for clients that start their servers themselves.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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
    from deployments.mcp_stdio import StdioOptions, run_stdio

    run_stdio(StdioOptions(url, local, memory))


@mcp_app.command()
def install(
    client: Annotated[McpClient, typer.Option(help="The program that shall use the memory.")],
    url: UrlOption = None,
    local: LocalOption = False,
    memory: MemoryOption = None,
    key: Annotated[
        bool, typer.Option("--key", help=f"Send the key in {KEY_VARIABLE}; the key itself is not written.")
    ] = False,
    name: Annotated[str, typer.Option(help="What the client calls it.")] = ENTRY_NAME,
    only_print: Annotated[bool, typer.Option("--print", help="Show the file's content and change nothing.")] = False,
) -> None:
    """Add this memory to an MCP client's file; everything else in it stays, and a copy is kept."""
    import json

    from deployments.cli import output
    from deployments.mcp.clients import Target, config_path, entry, section
    from deployments.mcp.config_file import add_entry
    from deployments.settings import Settings
    from memory_core.ids import parse_memory_name

    parsed = None if memory is None else parse_memory_name(memory)
    target = Target(url=None if local else url or Settings().base_url, memory=parsed, needs_key=key)
    path = config_path(client, home=Path.home(), project=Path.cwd())
    server = entry(client, target)
    if only_print:
        output.err.print(f"{path}:", markup=False, soft_wrap=True)
        output.out.out(json.dumps({section(client): {name: server}}, indent=2))
        return
    written = add_entry(path, section(client), name, server)
    if not written.is_changed:
        output.out.print(f"{written.path} has it already.", markup=False, soft_wrap=True)
        return
    output.out.print(f"Wrote {name} to {written.path}; restart {client.value}.", markup=False, soft_wrap=True)
    if written.backup is not None:
        output.out.print(f"the file as it was: {written.backup}", markup=False, soft_wrap=True)
