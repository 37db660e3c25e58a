"""Commands with their arguments and options, from the program's own tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer


def command_page() -> str:
    """A section per command."""
    from deployments.cli.app import app

    root = typer.main.get_command(app)
    return "\n".join(_section(path, command) for path, command in _walk("neural-memory", root))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None or getattr(command, "invoke_without_command", False):
        yield path, command
    for name, found in sorted((below or {}).items()):
        yield from _walk(f"{path} {name}", found)


def _section(path: str, command: Any) -> str:
    lines = [f"## {path}\n", " ".join((command.help or "").split()) + "\n"]
    parameters = [one for one in command.params if one.name != "help"]
    if parameters:
        lines += ["| | | |", "|---|---|---|"]
    lines += [_row(one) for one in parameters]
    return "\n".join(lines) + "\n"


def _row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    name = (parameter.metavar or parameter.name.upper()) if is_argument else " ".join(parameter.opts)
    said = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    shown = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    is_plain = isinstance(shown, int | float | str) and not isinstance(shown, bool) and shown != ""
    default = f"default {shown}" if is_plain else ("required" if parameter.required else "")
    return f"| `{name}` | {said} | {default} |"
