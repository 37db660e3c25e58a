"""family, observe-all, compare, promote; and fork --count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from deployments.cli import output
from deployments.cli.connection import Connection, run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, TagArgument, UrlOption
from deployments.cli.texts import Split, read_texts
from memory_core.family_results import FanOutResult, Probe
from memory_core.ids import parse_memory_name, parse_tag
from memory_core.results import Observation, ObserveOptions

TextArgument = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="A text; - reads standard input.")]
FileOption = Annotated[Path | None, typer.Option("--file", help="A file to read.")]
_SCORES = ("memory", "recall", "surprise_mean", "confidence_mean", "capacity_used", "observation_count")


def fork_many(
    work: Callable[[Connection], Awaitable[FanOutResult]], url: str | None, is_local: bool, as_json: bool
) -> None:
    """Make and tell."""
    result = run(work, url=url, is_local=is_local)
    if as_json:
        output.print_json(result)
        return
    output.out.print(
        f"Forked {len(result.forks)} memories from {result.parent} at {result.parent_tag} "
        f"in {result.duration_ms:.0f} ms."
    )


def family(name: NameArgument, url: UrlOption = None, local: LocalOption = False, as_json: JsonOption = False) -> None:
    """List the forks of a memory."""
    parsed = parse_memory_name(name)
    found = run(lambda memories: memories.family(parsed), url=url, is_local=local)
    if as_json:
        output.print_json(found)
        return
    for fork in found.forks:
        output.out.print(fork, markup=False)


def observe_all(
    name: NameArgument,
    text: TextArgument = None,
    file: FileOption = None,
    split: Annotated[Split, typer.Option(help="What one observation is.")] = Split.LINE,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let every fork of a memory learn the same."""
    parsed = parse_memory_name(name)
    observations = [Observation(text=one) for one in read_texts(text, file, split)]
    told = run(lambda memories: memories.observe_all(parsed, observations, ObserveOptions()), url=url, is_local=local)
    if as_json:
        output.print_json(told)
        return
    for answer in told.answers:
        output.out.print(f"{answer.memory}: {answer.observation_count} observations", markup=False)


def compare(
    name: NameArgument,
    text: TextArgument = None,
    file: FileOption = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask every fork of a memory for the same, and tell which one learned most.

    One probe a line: a text, or a question, a tab and the text that answers it.
    """
    parsed = parse_memory_name(name)
    probes = [_probe(line) for line in read_texts(text, file, Split.LINE)]
    result = run(lambda memories: memories.compare(parsed, probes), url=url, is_local=local)
    if as_json:
        output.print_json(result)
        return
    rows = [asdict(score) for score in (*result.forks, result.baseline)]
    output.print_rows(rows, _SCORES, "No forks.")


def promote(
    fork: Annotated[str, typer.Argument(metavar="FORK", help="The fork whose version its parent shall become.")],
    tag: TagArgument,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a fork's version its parent's state; the parent keeps what it was as before-TAG."""
    parsed, parsed_tag = parse_memory_name(fork), parse_tag(tag)
    result = run(lambda memories: memories.promote(parsed, parsed_tag), url=url, is_local=local)
    if as_json:
        output.print_json(result)
        return
    output.out.print(
        f"{result.memory} is now {result.fork} at {result.tag}; {result.observations_lost} of its own observations "
        f"are in {result.previous_tag or 'no earlier version'} only."
    )


def _probe(line: str) -> Probe:
    question, _, text = line.rpartition("\t")
    return Probe(text=text, question=question or None)
