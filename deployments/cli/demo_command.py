"""demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deployments.cli import output
from deployments.cli.service_commands import PortOption, Proxy, chosen_settings, serve_demo


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service running at the end.")] = False,
    port: PortOption = None,
    encoder: Annotated[str | None, typer.Option(help="minilm, static, hash or hf:ID.", show_default="minilm")] = None,
    proxy: Annotated[Proxy, typer.Option(help="As for serve.")] = Proxy.AUTO,
    ui: Annotated[
        bool, typer.Option("--ui", help="A page instead, on port 7860: chat, live demo, playground.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="With --ui: address to listen on.", show_default="127.0.0.1")] = None,
    persona: Annotated[
        Path | None, typer.Option(help="With --ui: who speaks there, a YAML file.", show_default="our advocate")
    ] = None,
) -> None:
    """See everything work in two minutes, on a volume of its own; or serve the demonstration as a page."""
    if ui:
        _serve_page(host, port, encoder, proxy, persona)
        return
    from deployments.demo.run import run_demo

    settings = chosen_settings(port=port, encoder=encoder)
    raise typer.Exit(run_demo(output.out, settings, proxy=proxy.value, keep=keep))


def _serve_page(host: str | None, port: int | None, encoder: str | None, proxy: Proxy, persona: Path | None) -> None:
    from deployments.demo.page import prepare_demo, teach_persona

    prepared = prepare_demo(chosen_settings(host=host, port=port, encoder=encoder), persona)

    def begin() -> None:
        count = teach_persona(prepared)
        output.out.print(f"The persona's memory knows {count} texts.", markup=False)

    serve_demo(prepared.settings, proxy, begin)
