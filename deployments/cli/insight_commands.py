"""explain, attention, predict-next, diff, merge."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from deployments.cli import output
from deployments.cli.connection import run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, UrlOption
from deployments.text_rules import check_label, check_text
from memory_core.ids import Tag, parse_memory_name, parse_tag
from memory_core.insight_results import AttentionMap

_PATTERNS_SHOWN = 12
TagOption = Annotated[str | None, typer.Option("--tag", help="A version of the memory; without it, as it is now.")]


def explain(
    name: NameArgument,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="Patterns to show, strongest first.")] = 10,
    domain: Annotated[str | None, typer.Option(help="Only patterns with an exemplar of this domain.")] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the strongest patterns stand for."""
    parsed = parse_memory_name(name)
    check_label(domain, "domain")
    found = run(lambda memories: memories.explain(parsed, top_k=top_k, domain=domain), url=url, is_local=local)
    if as_json:
        output.print_json(found)
        return
    rows = [
        {
            "pattern": one.pattern,
            "strength": one.strength,
            "uses": one.activation_count,
            "words": one.description,
            "text": output.shortened(one.exemplar.text),
        }
        for one in found.patterns
    ]
    output.print_rows(rows, ("pattern", "strength", "uses", "words", "text"), "Nothing learned yet.")


def attention(
    name: NameArgument,
    query: Annotated[str, typer.Argument(help="The query.")],
    top_k: Annotated[int, typer.Option(min=1, max=100, help="Patterns to show.")] = 5,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show which words of a query lead to which patterns."""
    parsed = parse_memory_name(name)
    check_text(query, "query")
    found = run(lambda memories: memories.attention_map(parsed, query, top_k=top_k), url=url, is_local=local)
    if as_json:
        output.print_json(found)
    else:
        output.out.print(_attention_table(found))


def predict_next(
    name: NameArgument,
    text: Annotated[str | None, typer.Argument(help="What was just said.")] = None,
    session: Annotated[str | None, typer.Option(help="Go on from the last turn of this session instead.")] = None,
    top_k: Annotated[int, typer.Option(min=1, max=100, help="Continuations to show.")] = 5,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is expected next."""
    parsed = parse_memory_name(name)
    if text is not None:
        check_text(text, "text")
    check_label(session, "session")
    found = run(
        lambda memories: memories.predict_next(parsed, text=text, session=session, top_k=top_k),
        url=url,
        is_local=local,
    )
    if as_json:
        output.print_json(found)
        return
    rows = [
        {"probability": one.probability, "pattern": one.pattern, "text": output.shortened(one.exemplar.text)}
        for one in found.continuations
    ]
    output.print_rows(rows, ("probability", "pattern", "text"), "Nothing is expected: nothing was learned yet.")


def diff(
    name: NameArgument,
    other: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="The other memory; else this one.")] = None,
    tag: TagOption = None,
    other_tag: Annotated[str | None, typer.Option(help="A version of the other memory; else its newest.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Entries of each list.")] = 20,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a memory differs from another, or from a version of itself."""
    parsed = parse_memory_name(name)
    there = parsed if other is None else parse_memory_name(other)
    tags = {"tag": _tag(tag), "other_tag": _tag(other_tag)}
    found = run(lambda memories: memories.diff(parsed, there, limit=limit, **tags), url=url, is_local=local)
    if as_json:
        output.print_json(found)
        return
    output.out.print(
        f"{found.shared_count} patterns in both, {found.changed_count} of them with other texts; recall of this "
        f"memory's texts {found.recall_here:.3f} here, {found.recall_there:.3f} there."
    )
    for sign, count, exemplars in (
        ("-", found.only_here_count, found.only_here),
        ("+", found.only_there_count, found.only_there),
    ):
        output.out.print(f"{sign} {count} only {'here' if sign == '-' else 'there'}")
        for exemplar in exemplars:
            output.out.print(Text(f"  {sign} {output.shortened(exemplar.text)}"))


def merge(
    name: NameArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The memory to learn from.")],
    tag: Annotated[str | None, typer.Option(help="Its version; the newest checkpoint if not given.")] = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn what a checkpoint of another memory knows and this one does not."""
    parsed, source, parsed_tag = parse_memory_name(name), parse_memory_name(other), _tag(tag)
    result = run(lambda memories: memories.merge(parsed, source, tag=parsed_tag), url=url, is_local=local)
    if as_json:
        output.print_json(result)
    else:
        output.out.print(
            f"{result.memory} learned {result.texts_merged} texts of {result.other} at {result.other_tag}; "
            f"{result.texts_known} were known."
        )


def _tag(raw: str | None) -> Tag | None:
    return None if raw is None else parse_tag(raw)


def _attention_table(found: AttentionMap) -> Table:
    """Patterns as columns; their weight, then a line for every word that leads to one of them, then the texts."""
    rows = found.rows[:_PATTERNS_SHOWN]
    table = Table(box=None, pad_edge=False)
    table.add_column("word")
    for row in rows:
        table.add_column(f"#{row.pattern}", justify="right")
    table.add_row(Text("weight", style="bold"), *(Text(f"{row.weight:.2f}", style="bold") for row in rows))
    for position, token in enumerate(found.tokens):
        weights = [row.word_weights[position] for row in rows]
        if any(weights):
            table.add_row(Text(token.word), *(Text(f"{weight:.2f}" if weight else "·") for weight in weights))
    return table
