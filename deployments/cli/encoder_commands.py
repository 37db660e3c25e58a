"""encoder distill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from deployments.cli import output
from deployments.cli.options import JsonOption

encoder_app: Final = typer.Typer(help="Make encoders.", no_args_is_help=True)


@encoder_app.callback()
def encoders() -> None:
    """Make encoders."""


@encoder_app.command()
def distill(
    teacher: Annotated[str, typer.Option("--from", help="The encoder to learn from: minilm or hf:ID.")] = "minilm",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the new encoder.", show_default="where the encoder static is looked for"),
    ] = None,
    dim: Annotated[int, typer.Option(min=8, max=1024, help="Numbers in a key.")] = 256,
    as_json: JsonOption = False,
) -> None:
    """Make a static encoder: a vector per word piece, fifty times faster than its teacher and somewhat weaker."""
    from rich.progress import Progress

    from memory_core.encoding.distill import Teacher, distill
    from memory_core.encoding.registry import open_encoder
    from memory_core.encoding.static import default_folder
    from memory_core.errors import InvalidInput

    opened, folder = open_encoder(teacher), out or default_folder()
    if not isinstance(opened, Teacher):
        raise InvalidInput(
            f"The encoder {ascii(teacher)} has no word pieces to learn.", hint="Use --from minilm or --from hf:ID."
        )
    with Progress(console=output.err, transient=True) as bar:
        task = bar.add_task("distilling", total=None)
        pieces = distill(opened, folder, lambda done, total: bar.update(task, completed=done, total=total), dim)
    chosen = "static" if out is None else f"static:{out}"
    if as_json:
        output.print_json({"encoder": chosen, "folder": str(folder), "pieces": pieces, "key_dim": dim})
    else:
        output.out.print(f"Wrote {pieces} pieces of {dim} numbers. Use it as the encoder {chosen}.", markup=False)
