"""The command line. Heavy libraries are imported by the commands that need them, so that help is quick."""

from __future__ import annotations

import sys

from memory_core.errors import NeuralMemoryError


def main() -> None:
    """Run the command line; an error is one line and a hint on stderr, and a non-zero exit code."""
    try:
        _run()
    except NeuralMemoryError as error:
        from deployments.cli.output import print_error

        print_error(error)
        sys.exit(1)


def _run() -> None:
    if sys.argv[1:2] == ["mcp"]:
        _run_mcp(sys.argv[2:])
    else:
        from deployments.cli.app import app

        app()


def _run_mcp(words: list[str]) -> None:
    # MCP clients wait for this one: it loads nothing of the others, and as clients write it not even Typer.
    from deployments.mcp_stdio import plain_options, run_stdio

    options = plain_options(words)
    if options is not None:
        run_stdio(options)
        return
    from deployments.cli.mcp_commands import mcp_app

    mcp_app(words, prog_name="neural-memory mcp")
