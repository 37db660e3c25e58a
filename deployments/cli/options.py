"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The memory.")]
TagArgument = Annotated[str, typer.Argument(metavar="TAG", help="The checkpoint's tag.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="The service to speak to.", show_default="http://127.0.0.1:8000")
]
LocalOption = Annotated[
    bool, typer.Option("--local", help="Work on the volume in this process, without a service. One process at a time.")
]
SignOption = Annotated[
    Path | None, typer.Option("--sign-with", help="A key of `keys signing`; who trusts it can tell that it is yours.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
