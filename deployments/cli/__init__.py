"""The command line. Heavy libraries are imported by the commands that need them, so that help is quick."""

from __future__ import annotations

import sys

from memory_core.errors import NeuralMemoryError


def main() -> None:
    """Run the command line; an error is one line and a hint on stderr, and a non-zero exit code."""
    from deployments.cli.app import app
    from deployments.cli.output import print_error

    try:
        app()
    except NeuralMemoryError as error:
        print_error(error)
        sys.exit(1)
