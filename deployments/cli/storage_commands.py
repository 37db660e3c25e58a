"""export, import, verify, prune, retention, gc."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from deployments.cli import output
from deployments.cli.connection import Connection, run
from deployments.cli.learning_commands import observe_all
from deployments.cli.memory_commands import all_memories
from deployments.cli.options import JsonOption, LocalOption, NameArgument, SignOption, UrlOption
from deployments.cli.service_commands import chosen_settings
from deployments.importers.formats import Source, read_observations
from deployments.progress import progress_bar
from deployments.whole_files import file_pieces, maybe_signed, write_whole
from memory_core.errors import CorruptData, InvalidInput
from memory_core.ids import MemoryName, parse_memory_name, parse_tag
from memory_core.results import Observation, ObserveOptions, ObserveResult
from memory_core.storage_results import ExportFormat, RetentionPolicy, VerifyReport

_LEARNED_AT_ONCE: Final = 64
_KNOWN_BELOW: Final = 0.2
_DURATION: Final = re.compile(r"(\d{1,9})([smhd])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

KeepLastOption = Annotated[int | None, typer.Option(min=0, help="Keep so many of the newest.")]
KeepYoungerOption = Annotated[str | None, typer.Option(help="Keep what is younger: 12h, 30d.")]
KeepTaggedOption = Annotated[
    bool, typer.Option("--keep-tagged/--all-tags", help="Keep all but periodic ones, whose tags begin with auto-.")
]


def export(
    name: NameArgument,
    to: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file.", show_default="NAME.nmem in ARCHIVE_PATH", dir_okay=False),
    ] = None,
    tag: Annotated[str | None, typer.Option(help="A checkpoint; the memory as it is now if not given.")] = None,
    form: Annotated[str, typer.Option("--format", help="nmem (can be imported) or jsonl (for people).")] = "nmem",
    sign_with: SignOption = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a memory to one file."""
    parsed, parsed_tag = parse_memory_name(name), None if tag is None else parse_tag(tag)
    if form not in {"nmem", "jsonl"}:
        raise InvalidInput(f"There is no format {ascii(form)}.", hint="Use nmem or jsonl.")
    if form == "jsonl" and sign_with is not None:
        raise InvalidInput("Lines for people are not signed.", hint="Leave out --sign-with, or --format jsonl.")
    file = to or chosen_settings().archive_path / f"{parsed}.{form}"

    async def work(memories: Connection) -> int:
        exported = await memories.export(parsed, tag=parsed_tag, form=cast(ExportFormat, form))
        return await write_whole(maybe_signed(exported.chunks, sign_with), file)

    size_bytes = run(work, url=url, is_local=local)
    if as_json:
        output.print_json({"memory": parsed, "tag": parsed_tag, "file": str(file), "size_bytes": size_bytes})
    else:
        output.out.print(f"Wrote {parsed} to {file}: {size_bytes} bytes.", markup=False, soft_wrap=True)


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file, or the folder of a Chroma store.", exists=True)
    ],
    name: Annotated[str, typer.Option(help="The name of the new memory.")],
    source: Annotated[Source, typer.Option("--from", help="What wrote the file.")] = Source.NMEM,
    encoder: Annotated[
        str | None, typer.Option(help="For texts: minilm, static, hash or hf:ID.", show_default="the service's")
    ] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new memory from a .nmem file, or let it learn what another kind of memory kept."""
    parsed = parse_memory_name(name)
    if source is not Source.NMEM:
        _learn_all(parsed, read_observations(source, file), encoder, url, local, as_json)
        return
    if file.is_dir() or encoder is not None:
        raise InvalidInput("A .nmem is one file, and brings its encoder.", hint="Say --from for anything else.")
    result = run(lambda memories: memories.import_memory(parsed, file_pieces(file)), url=url, is_local=local)
    if as_json:
        output.print_json(result)
    else:
        output.out.print(
            f"Imported {result.memory} from {result.source}: {result.observation_count} observations, "
            f"weights {result.weight_hash[:12]}.",
            markup=False,
        )


def _learn_all(
    name: MemoryName, found: list[Observation], encoder: str | None, url: str | None, is_local: bool, as_json: bool
) -> None:
    chosen = {} if encoder is None else {"encoder": encoder}

    async def work(memories: Connection) -> list[ObserveResult]:
        await memories.create_chosen(name, chosen)
        return await observe_all(memories, name, found, ObserveOptions(), _LEARNED_AT_ONCE)

    results = run(work, url=url, is_local=is_local)
    outcomes = [outcome for result in results for outcome in result.outcomes]
    new_share = sum(outcome.surprise >= _KNOWN_BELOW for outcome in outcomes) / len(outcomes)
    if as_json:
        output.print_json({"memory": name, "observations": len(outcomes), "new_share": new_share})
    else:
        output.out.print(f"{name} learned {len(outcomes)} observations; {new_share:.0%} were new to it.", markup=False)


def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The memory; the whole volume if absent.")
    ] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read every stored byte again; exit code 1 when something is damaged."""
    parsed = None if name is None else parse_memory_name(name)
    reports = run(lambda memories: _verify(memories, parsed), url=url, is_local=local)
    damages = [damage for report in reports for damage in report.damages]
    objects, size_bytes = (
        sum(getattr(one, field) for one in reports) for field in ("objects_checked", "bytes_checked")
    )
    if as_json:
        found = [asdict(damage) for damage in damages]
        totals = {"objects_checked": objects, "bytes_checked": size_bytes}
        output.print_json({"memory": parsed, "is_intact": not damages, **totals, "damages": found})
    else:
        for damage in damages:
            output.out.print(
                f"damaged  {damage.key}\n  {damage.cause}\n  {damage.next_step}", markup=False, soft_wrap=True
            )
        output.out.print(f"{len(damages)} damaged of {objects} objects, {size_bytes} bytes read.")
    if damages:
        raise typer.Exit(1)


def prune(
    name: NameArgument,
    keep_last: KeepLastOption = None,
    keep_younger_than: KeepYoungerOption = None,
    keep_tagged: KeepTaggedOption = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the checkpoints that no rule keeps: the rules given here, or those of the memory."""
    parsed = parse_memory_name(name)
    policy = _policy(keep_last, keep_younger_than, keep_tagged)
    if not yes and not dry_run:
        typer.confirm(f"Delete checkpoints of {parsed}? It cannot be undone (--dry-run shows which)", abort=True)
    chosen = None if policy == RetentionPolicy() else policy
    result = run(lambda memories: memories.prune(parsed, policy=chosen, is_dry_run=dry_run), url=url, is_local=local)
    if as_json:
        output.print_json(result)
        return
    verb = "Would delete" if result.is_dry_run else "Deleted"
    output.out.print(f"{verb} {len(result.removed)} checkpoints, kept {result.kept_count}.")
    for tag in result.removed:
        output.out.print(f"  {tag}", markup=False)


def retention(
    name: NameArgument,
    keep_last: KeepLastOption = None,
    keep_younger_than: KeepYoungerOption = None,
    keep_tagged: KeepTaggedOption = True,
    clear: Annotated[bool, typer.Option("--clear", help="Keep everything.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the rules that prune follows, or replace them."""
    parsed = parse_memory_name(name)
    policy = _policy(keep_last, keep_younger_than, keep_tagged)

    async def work(memories: Connection) -> RetentionPolicy:
        if policy == RetentionPolicy() and not clear:
            return await memories.retention(parsed)
        return await memories.set_retention(parsed, RetentionPolicy() if clear else policy)

    found = run(work, url=url, is_local=local)
    if as_json:
        output.print_json(found)
    else:
        output.print_fields(found)


def gc(
    grace: Annotated[str, typer.Option(help="Leave what is younger: 30s, 10m, 1h, 7d.")] = "1h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what nothing on the volume reaches."""
    grace_s = float(_seconds(grace))
    result = run(lambda one: one.collect_garbage(grace_s=grace_s, is_dry_run=dry_run), url=url, is_local=local)
    if as_json:
        output.print_json(result)
        return
    verb = "Would delete" if result.is_dry_run else "Deleted"
    output.out.print(
        f"{verb} {result.blobs_removed} blobs, {result.orphans_removed} nameless memories and "
        f"{result.leftovers_removed} leftovers: {result.bytes_removed} bytes."
    )


def _policy(keep_last: int | None, keep_younger_than: str | None, keep_tagged: bool) -> RetentionPolicy:
    younger_s = None if keep_younger_than is None else _seconds(keep_younger_than)
    return RetentionPolicy(keep_last=keep_last, keep_younger_than_s=younger_s, keep_tagged=keep_tagged)


def _seconds(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{ascii(text)} is no span of time.", hint="Give a number with s, m, h or d, as in 7d.")
    return int(found[1]) * _UNIT_S[found[2]]


async def _verify(memories: Connection, name: MemoryName | None) -> list[VerifyReport]:
    """One memory, or each in turn and then what belongs to none."""
    if name is not None:
        return [await memories.verify(name)]
    rest = await memories.verify()
    try:
        names = [info.name for info in await all_memories(memories)]
    except CorruptData:  # the rest has named it
        return [rest]
    reports = [rest]
    with progress_bar(output.err, "memories/s") as bar:
        task = bar.add_task("verify", total=len(names))
        for one in names:
            reports.append(await memories.verify(one))
            bar.advance(task)
    return reports
