"""forget, re-encode."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from deployments.cli import output
from deployments.cli.connection import run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, UrlOption
from memory_core.ids import EncoderId, MemoryName, PatternId, parse_memory_name
from memory_core.results import ForgetReceipt, ForgetSelection


def forget(
    name: NameArgument,
    subject: Annotated[
        str | None, typer.Argument(help="Exemplars with all of these words go (those that carry meaning).")
    ] = None,
    pattern: Annotated[list[int] | None, typer.Option(help="Only of this pattern; may be repeated.")] = None,
    seq_from: Annotated[int | None, typer.Option(help="Only from this position on.")] = None,
    seq_to: Annotated[int | None, typer.Option(help="Only up to this position.")] = None,
    since: Annotated[str | None, typer.Option(help="Only what occurred then or later (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Only what occurred then or before (ISO 8601).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Leave a subject, patterns or a range out, with a measured receipt. Published versions are named, not changed."""
    parsed = parse_memory_name(name)
    selection = ForgetSelection(
        subject=subject,
        patterns=tuple(map(PatternId, pattern or ())),
        seq_from=seq_from,
        seq_to=seq_to,
        occurred_from=since,
        occurred_to=until,
    )
    if not yes and not dry_run:
        typer.confirm(f"Forget this in {parsed}? It cannot be undone (--dry-run shows what would go)", abort=True)
    receipt = run(lambda memories: memories.forget(parsed, selection, is_dry_run=dry_run), url=url, is_local=local)
    if as_json:
        output.print_json(receipt)
    else:
        _print_receipt(receipt)


def re_encode(
    name: NameArgument,
    encoder: Annotated[str, typer.Option(help="minilm, static, hash, static:PATH or hf:ID.")],
    to: Annotated[str | None, typer.Option(help="Name of the new memory; NAME-ENCODER if not given.")] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new memory that learns this one's exemplars through another encoder."""
    parsed = parse_memory_name(name)
    new_name = parse_memory_name(to) if to is not None else _name_for(parsed, encoder)
    chosen = EncoderId(encoder)
    result = run(lambda memories: memories.re_encode(parsed, chosen, new_name), url=url, is_local=local)
    if as_json:
        output.print_json(result)
    else:
        output.out.print(
            f"{result.memory} learned {result.observation_count} exemplars of {result.source} with {result.encoder}: "
            f"{result.pattern_count} patterns.",
            markup=False,
        )


def _name_for(name: MemoryName, encoder: str) -> MemoryName:
    return parse_memory_name(f"{name}-{re.sub('[^A-Za-z0-9]+', '-', encoder).strip('-')}")


def _print_receipt(receipt: ForgetReceipt) -> None:
    verb = "Would forget" if receipt.is_dry_run else "Forgot"
    output.out.print(
        f"{verb} {receipt.exemplars_removed} exemplars and {receipt.patterns_removed} patterns of {receipt.memory}.",
        markup=False,
    )
    for item in receipt.exemplars:
        output.out.print(f"  {item.seq}  {item.text}", markup=False)
    if receipt.recall_before is not None:
        output.out.print(f"recall of it    {receipt.recall_before:.2f} -> {receipt.recall_after:.2f}")
        output.out.print(f"surprise of it  {receipt.surprise_before:.2f} -> {receipt.surprise_after:.2f}")
    if receipt.checkpoints_holding:
        output.out.print(f"still in the checkpoints {', '.join(receipt.checkpoints_holding)}", markup=False)
    if receipt.forks_holding:
        output.out.print(f"still in the forks {', '.join(receipt.forks_holding)}", markup=False)
