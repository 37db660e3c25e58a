"""demo."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.cli import output
from deployments.cli.service_commands import PortOption, Proxy, chosen_settings


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service running at the end.")] = False,
    port: PortOption = None,
    encoder: Annotated[str | None, typer.Option(help="minilm, static, hash or hf:ID.", show_default="minilm")] = None,
    proxy: Annotated[Proxy, typer.Option(help="As for serve.")] = Proxy.AUTO,
) -> None:
    """See everything work in two minutes, on a volume of its own."""
    from deployments.demo.run import run_demo

    settings = chosen_settings(port=port, encoder=encoder)
    raise typer.Exit(run_demo(output.out, settings, proxy=proxy.value, keep=keep))
