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
        # MCP clients wait for this one: it loads nothing of the others.
        from deployments.cli.mcp_commands import mcp_app

        mcp_app(sys.argv[2:], prog_name="neural-memory mcp")
    else:
        from deployments.cli.app import app

        app()
