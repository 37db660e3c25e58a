"""create, list, stats, delete."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from deployments.cli import output
from deployments.cli.connection import Connection, run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, UrlOption
from memory_core.ids import parse_memory_name
from memory_core.results import MemoryInfo

_PAGE: int = 200


def create(
    name: NameArgument,
    encoder: Annotated[
        str | None, typer.Option(help="minilm, static, hash or hf:ID; the service's default if not given.")
    ] = None,
    units: Annotated[int | None, typer.Option(help="Patterns the memory can hold.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="0 to 1; 0 makes it read-only.")] = None,
    isolation: Annotated[str | None, typer.Option(help="shared or dedicated: a process of its own.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, gpu, or a part of one such as gpu:0.25.")] = None,
    durability: Annotated[
        str | None, typer.Option(help="sync, group or group(MS); the service's setting if not given.")
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Stay in RAM when idle.")] = False,
    standby: Annotated[
        bool, typer.Option("--standby", help="A process on another node follows it and takes over.")
    ] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create an empty memory."""
    asked = {"encoder": encoder, "units": units, "learning_rate": learning_rate, "durability": durability}
    chosen: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    wanted = {"isolation": isolation, "device": device, "is_pinned": pinned or None, "standby": standby or None}
    if placement := {key: value for key, value in wanted.items() if value is not None}:
        chosen["placement"] = placement
    parsed = parse_memory_name(name)
    info = run(lambda memories: memories.create_chosen(parsed, chosen), url=url, is_local=local)
    if as_json:
        output.print_json(info)
    else:
        output.out.print(
            f"Created {info.name}: {info.units} units of {info.key_dim} dimensions, encoder {info.encoder}."
        )


def list_(url: UrlOption = None, local: LocalOption = False, as_json: JsonOption = False) -> None:
    """List the memories."""
    memories = run(all_memories, url=url, is_local=local)
    rows = [asdict(info) for info in memories]
    if as_json:
        output.print_json({"memories": rows})
    else:
        output.print_rows(rows, ("name", "encoder", "variant", "units", "created_at", "parent"), "No memories yet.")


def stats(
    name: NameArgument,
    detailed: Annotated[bool, typer.Option("--detailed", help="Also measure how full the memory is.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show counts, weight hash and capacity of a memory."""
    parsed = parse_memory_name(name)
    found = run(lambda memories: memories.stats(parsed, detailed=detailed), url=url, is_local=local)
    if as_json:
        output.print_json(found)
        return
    output.print_fields(replace(found, capacity=None))
    if found.capacity is not None:
        output.print_fields(found.capacity)


def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
) -> None:
    """Remove a memory with its journal and checkpoints."""
    parsed = parse_memory_name(name)
    if not yes:
        typer.confirm(f"Delete {parsed} and all its checkpoints? This cannot be undone", abort=True)
    run(lambda memories: memories.delete(parsed), url=url, is_local=local)
    output.out.print(f"Deleted {parsed}.")


async def all_memories(memories: Connection) -> list[MemoryInfo]:
    """Every memory, page after page."""
    found: list[MemoryInfo] = []
    cursor: str | None = None
    while True:
        page = await memories.list_memories(limit=_PAGE, cursor=cursor)
        found.extend(page.memories)
        cursor = page.next_cursor
        if cursor is None:
            return found
