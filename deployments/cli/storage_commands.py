"""export, import."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from deployments.cli import output
from deployments.cli.connection import Connection, run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, UrlOption
from memory_core.errors import InvalidInput
from memory_core.ids import parse_memory_name, parse_tag
from memory_core.storage_results import ExportFormat

_PIECE_BYTES: Final = 1 << 18


def export(
    name: NameArgument,
    to: Annotated[Path, typer.Option("-o", "--output", help="The file to write.", dir_okay=False)],
    tag: Annotated[str | None, typer.Option(help="A checkpoint; the memory as it is now if not given.")] = None,
    form: Annotated[str, typer.Option("--format", help="nmem (can be imported) or jsonl (for people).")] = "nmem",
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a memory to one file."""
    parsed, parsed_tag = parse_memory_name(name), None if tag is None else parse_tag(tag)
    if form not in {"nmem", "jsonl"}:
        raise InvalidInput(f"There is no format {ascii(form)}.", hint="Use nmem or jsonl.")

    async def work(memories: Connection) -> int:
        exported = await memories.export(parsed, tag=parsed_tag, form=cast(ExportFormat, form))
        return await _write_whole(exported.chunks, to)

    size_bytes = run(work, url=url, is_local=local)
    if as_json:
        output.print_json({"memory": parsed, "tag": parsed_tag, "file": str(to), "size_bytes": size_bytes})
    else:
        output.out.print(f"Wrote {parsed} to {to}: {size_bytes} bytes.", markup=False, soft_wrap=True)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .nmem file.", exists=True, dir_okay=False)],
    name: Annotated[str, typer.Option(help="The name of the new memory.")],
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new memory from a .nmem file."""
    parsed = parse_memory_name(name)
    result = run(lambda memories: memories.import_memory(parsed, _pieces(file)), url=url, is_local=local)
    if as_json:
        output.print_json(result)
    else:
        output.out.print(
            f"Imported {result.memory} from {result.source}: {result.observation_count} observations, "
            f"weights {result.weight_hash[:12]}.",
            markup=False,
        )


async def _write_whole(chunks: AsyncIterator[bytes], to: Path) -> int:
    """Write beside the target and give the file its name when it is complete."""
    beside = to.with_name(f".{to.name}.{os.getpid()}")
    size_bytes = 0
    try:
        with beside.open("wb") as file:
            async for chunk in chunks:
                size_bytes += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(to)
    except OSError as error:
        raise InvalidInput(f"{to} cannot be written ({type(error).__name__}).", hint="Choose another file.") from error
    finally:
        beside.unlink(missing_ok=True)
    return size_bytes


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece
