"""observe, infer, surprise, consolidate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from deployments.cli import output
from deployments.cli.connection import Connection, run
from deployments.cli.options import JsonOption, LocalOption, NameArgument, UrlOption
from deployments.cli.texts import Split, read_texts
from deployments.progress import progress_bar, share_bar
from deployments.text_rules import check_observations, check_text
from memory_core.ids import MemoryName, parse_memory_name
from memory_core.results import ConsolidateResult, InferOptions, Observation, ObserveOptions, ObserveResult

DomainOption = Annotated[str | None, typer.Option(help="Label that answers can be filtered by.")]
_WORDS_SHOWN = 5


def observe(
    name: NameArgument,
    text: Annotated[str | None, typer.Argument(help="The text to learn; - reads standard input.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Learn from a file instead.")] = None,
    split: Annotated[Split, typer.Option(help="What one observation is in a file or standard input.")] = Split.LINE,
    domain: DomainOption = None,
    session: Annotated[str | None, typer.Option(help="Label of the conversation or run.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Scales the step, 0 to 1.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=512, help="Observations per request.")] = 64,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn a text, or every line or paragraph of a file."""
    parsed = parse_memory_name(name)
    texts = read_texts(text, file, split)
    observations = [Observation(text=one, domain=domain, session=session) for one in texts]
    for start in range(0, len(observations), batch):
        check_observations(observations[start : start + batch])
    options = ObserveOptions(learning_rate=learning_rate)
    started_s = time.perf_counter()
    results = run(lambda memories: observe_all(memories, parsed, observations, options, batch), url=url, is_local=local)
    summary = _summary(parsed, results, time.perf_counter() - started_s)
    if as_json:
        output.print_json(summary)
    else:
        output.out.print(
            f"Learned {summary['observations']} observations at {summary['obs_per_s']:.3g}/s, mean surprise "
            f"{summary['surprise_mean']:.2f}; {parsed} now has {summary['observation_count']}."
        )


async def observe_all(
    memories: Connection, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions, batch: int
) -> list[ObserveResult]:
    """Send everything in requests of ``batch``, with a progress bar."""
    results: list[ObserveResult] = []
    with progress_bar(output.err) as progress:
        task = progress.add_task("observing", total=len(observations))
        for start in range(0, len(observations), batch):
            part = observations[start : start + batch]
            results.append(await memories.observe(name, part, options))
            progress.update(task, advance=len(part))
    return results


def infer(
    name: NameArgument,
    prompt: Annotated[str, typer.Argument(help="The question.")],
    patterns: Annotated[int, typer.Option(min=1, max=50, help="Patterns to show.")] = 5,
    domain: DomainOption = None,
    since: Annotated[str | None, typer.Option(help="Only what occurred then or later (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Only what occurred then or before (ISO 8601).")] = None,
    behind: Annotated[bool, typer.Option("--any", help="A standby may answer, a moment behind.")] = False,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Answer from what was learned."""
    parsed = parse_memory_name(name)
    check_text(prompt, "prompt")
    options = InferOptions(
        pattern_limit=patterns,
        domain=domain,
        occurred_from=since,
        occurred_to=until,
        consistency="any" if behind else "latest",
    )
    answer = run(lambda memories: memories.infer(parsed, prompt, options), url=url, is_local=local)
    if as_json:
        output.print_json(answer)
    else:
        output.print_answer(answer)


def surprise(
    name: NameArgument,
    text: Annotated[str, typer.Argument(help="The text to measure.")],
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how new a text is, from 0 to 1, without learning it."""
    parsed = parse_memory_name(name)
    check_text(text, "text")
    (result,) = run(lambda memories: memories.surprise(parsed, [text]), url=url, is_local=local)
    if as_json:
        output.print_json(result)
        return
    output.out.print(f"surprise {result.score:.3f}: {result.recommendation} ({result.reason})", markup=False)
    words = ", ".join(word.word for word in result.surprising_words[:_WORDS_SHOWN])
    if words:
        output.out.print(f"surprising words: {words}", markup=False)


def consolidate(
    name: NameArgument,
    steps: Annotated[int, typer.Option(min=1, max=100, help="Rounds of rehearsal.")] = 1,
    ewc_lambda: Annotated[
        float, typer.Option("--ewc-lambda", min=0.0, help="Hold the weights where they were; 0 does not.")
    ] = 0.0,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Merge near-duplicate patterns and rehearse what is known. Ctrl-C leaves the memory as it was."""
    parsed = parse_memory_name(name)

    async def work(memories: Connection) -> ConsolidateResult:
        with share_bar(output.err) as bar:
            return await memories.consolidate(parsed, steps=steps, ewc_lambda=ewc_lambda, on_progress=bar)

    result = run(work, url=url, is_local=local)
    if as_json:
        output.print_json(result)
    else:
        output.print_fields(result)


def _summary(name: MemoryName, results: list[ObserveResult], duration_s: float) -> dict[str, Any]:
    outcomes = [outcome for result in results for outcome in result.outcomes]
    return {
        "memory": name,
        "observations": len(outcomes),
        "obs_per_s": len(outcomes) / max(duration_s, 1e-9),
        "surprise_mean": sum(outcome.surprise for outcome in outcomes) / len(outcomes),
        "capacity_used": results[-1].capacity_used,
        "observation_count": results[-1].observation_count,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }
