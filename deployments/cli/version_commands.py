"""checkpoint, checkpoints, restore, rollback, fork."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from deployments.cli import family_commands, output
from deployments.cli.connection import run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, TagArgument, UrlOption
from memory_core.ids import Seq, parse_memory_name, parse_tag


def checkpoint(
    name: NameArgument,
    tag: TagArgument,
    description: Annotated[str, typer.Option(help="What this version is.")] = "",
    momentum: Annotated[bool, typer.Option(help="Keep what the step rule gathered.")] = True,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish the current state under a tag."""
    parsed, parsed_tag = parse_memory_name(name), parse_tag(tag)
    info = run(
        lambda memories: memories.checkpoint(parsed, parsed_tag, description, include_momentum=momentum),
        url=url,
        is_local=local,
    )
    if as_json:
        output.print_json(info)
    else:
        output.out.print(
            f"Published {info.tag}: {info.observation_count} observations, weights {info.weight_hash[:12]}."
        )


def checkpoints(
    name: NameArgument,
    prefix: Annotated[str, typer.Option(help="Only tags that start with this.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """List a memory's checkpoints, newest first."""
    parsed = parse_memory_name(name)
    page = run(lambda memories: memories.list_checkpoints(parsed, prefix=prefix, limit=limit), url=url, is_local=local)
    if as_json:
        output.print_json(page)
        return
    columns = ("tag", "seq", "observation_count", "pattern_count", "created_at", "description")
    output.print_rows([asdict(info) for info in page.checkpoints], columns, "No checkpoints yet.")


def delete_checkpoint(
    name: NameArgument,
    tag: TagArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
) -> None:
    """Delete a checkpoint. Memories that were forked from it stay."""
    parsed, parsed_tag = parse_memory_name(name), parse_tag(tag)
    if not yes:
        typer.confirm(f"Delete the checkpoint {parsed_tag} of {parsed}? This cannot be undone", abort=True)
    run(lambda memories: memories.delete_checkpoint(parsed, parsed_tag), url=url, is_local=local)
    output.out.print(f"Deleted {parsed_tag} of {parsed}.", markup=False)


def restore(
    name: NameArgument,
    tag: TagArgument,
    momentum: Annotated[bool, typer.Option(help="Bring back what the step rule had gathered.")] = True,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to a checkpoint."""
    parsed, parsed_tag = parse_memory_name(name), parse_tag(tag)
    result = run(
        lambda memories: memories.restore(parsed, parsed_tag, restore_momentum=momentum), url=url, is_local=local
    )
    if as_json:
        output.print_json(result)
        return
    output.out.print(
        f"{result.memory} is back at {result.tag}; {result.observations_lost} later observations are gone."
    )
    if result.warning:
        output.out.print(f"warning: {result.warning}", markup=False)


def rollback(
    name: NameArgument,
    to_seq: Annotated[int, typer.Option("--to-seq", min=0, help="The position to go back to.")],
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier position, as far as the journal reaches."""
    parsed = parse_memory_name(name)
    result = run(lambda memories: memories.rollback(parsed, Seq(to_seq)), url=url, is_local=local)
    if as_json:
        output.print_json(result)
        return
    output.out.print(
        f"{result.memory} is back at position {result.seq}; {result.observations_lost} later observations are gone."
    )
    if result.warning:
        output.out.print(f"warning: {result.warning}", markup=False)


def fork(
    name: NameArgument,
    tag: TagArgument,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="The name of the fork.")],
    count: Annotated[
        int | None, typer.Option("--count", help="Make so many at once: NEW_NAME-1, NEW_NAME-2 and so on.")
    ] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new memory that starts from a checkpoint."""
    parsed, parsed_tag, parsed_new = parse_memory_name(name), parse_tag(tag), parse_memory_name(new_name)
    if count is not None:
        family_commands.fork_many(
            lambda memories: memories.fork_many(parsed, parsed_tag, parsed_new, count), url, local, as_json
        )
        return
    result = run(lambda memories: memories.fork(parsed, parsed_tag, parsed_new), url=url, is_local=local)
    if as_json:
        output.print_json(result)
    else:
        output.out.print(f"Forked {result.memory} from {result.parent} at {result.parent_tag}.")
