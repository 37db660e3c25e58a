"""expert build, expert card, load."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deployments.cli import output
from deployments.cli.connection import Connection, run
from deployments.cli.options import JsonOption, LocalOption, SignOption, UrlOption
from deployments.whole_files import file_pieces, maybe_signed, write_whole
from memory_core.ids import EncoderId, parse_memory_name, parse_tag
from memory_core.storage_results import ImportResult

if TYPE_CHECKING:
    from memory_core.experts.build import Expert, Source
    from memory_core.experts.card import Card

expert_app: Final = typer.Typer(help="Memories that were taught once, as files.", no_args_is_help=True)
_TAG: Final = parse_tag("expert")
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A .nmem file.", exists=True, dir_okay=False)]


@expert_app.command()
def build(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="python, typescript, or files to read.")],
    to: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.", show_default="NAME.nmem")] = None,
    name: Annotated[str | None, typer.Option(help="What it is called.", show_default="code-python")] = None,
    licence: Annotated[str | None, typer.Option(help="Of the source, for the card.")] = None,
    encoder: Annotated[str, typer.Option(help="minilm, static, hash or hf:ID.")] = "minilm",
    start: Annotated[Path, typer.Option("--from", help="Folder whose node_modules has typescript.")] = Path(),
    sign_with: SignOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach an expert from documentation, examine it, and write it as a read-only memory with its card."""
    from deployments.expert_sources import expert_source

    source = expert_source(sources, name=name, licence=licence, start=start.resolve())
    parse_memory_name(source.name)
    expert = asyncio.run(_built(source, EncoderId(encoder)))
    file = to or Path(f"{source.name}.nmem")
    size_bytes = asyncio.run(write_whole(maybe_signed(expert.archive(), sign_with), file))
    _print_card(expert.card, as_json, file=str(file), size_bytes=size_bytes)


@expert_app.command()
def card(file: FileArgument, as_json: JsonOption = False) -> None:
    """Show the card of an expert."""
    _print_card(_card(file), as_json, file=str(file), size_bytes=file.stat().st_size)


def load(
    file: FileArgument,
    name: Annotated[str | None, typer.Option(help="Of the new memory.", show_default="that of its card")] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Load an expert: a read-only memory to ask, or to fork. Its card is kept as the version `expert`."""
    found = _card(file)
    parsed = parse_memory_name(name or found.name)

    async def work(memories: Connection) -> ImportResult:
        result = await memories.import_memory(parsed, file_pieces(file))
        await memories.checkpoint(parsed, _TAG, found.line())
        return result

    result = run(work, url=url, is_local=local)
    if as_json:
        output.print_json({**asdict(result), "card": asdict(found)})
    else:
        output.out.print(f"Loaded {parsed}. {found.line()}.", markup=False)


async def _built(source: Source, encoder: EncoderId) -> Expert:
    from deployments.progress import progress_bar
    from memory_core.encoding.registry import LocalEncoderPool
    from memory_core.experts.build import build_expert

    encoders = LocalEncoderPool()
    try:
        with progress_bar(output.err, "chunks/s") as bar:
            task = bar.add_task("teaching", total=len(source.chunks))
            return await build_expert(source, encoders, encoder, lambda count: bar.advance(task, count))
    finally:
        encoders.close()


def _card(file: Path) -> Card:
    from memory_core.experts.card import card_of
    from memory_core.storage.archive import ArchiveReader

    reader = ArchiveReader(file.stat().st_size)
    with file.open("rb") as opened:
        while reader.head is None and (piece := opened.read(1 << 16)):
            list(reader.feed(piece))
    return card_of(reader.head or reader.finish())


def _print_card(found: Card, as_json: bool, *, file: str, size_bytes: int) -> None:
    if as_json:
        output.print_json({**asdict(found), "file": file, "size_bytes": size_bytes})
        return
    output.print_fields(found)
    output.out.print(f"{file}: {size_bytes / (1 << 20):.1f} MiB", markup=False, soft_wrap=True)
