"""``bench batch`` and ``bench expert``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.bench.cli import JsonOption, print_report

if TYPE_CHECKING:
    from deployments.bench.report import Report


def batch(
    items: Annotated[int, typer.Option(min=100, help="Sentences: docstrings of the standard library.")] = 10_000,
    encoder: Annotated[str, typer.Option(help="minilm, static or hash.")] = "minilm",
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill driver, an encoder and the memory's process once each, at random.")
    ] = False,
    is_s3: Annotated[bool, typer.Option("--s3", help="Source and volume on an S3 server over HTTP (moto).")] = False,
    cpus: Annotated[int | None, typer.Option(min=1, help="Cores of the Ray cluster.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A whole job over Ray Data beside its bare encoder: rate, and how RAM grows from the first half to the second."""
    print_report(_run_batch(items, encoder, is_killing=kill, is_s3=is_s3, cpus=cpus), as_json)


def expert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .nmem file.", exists=True, dir_okay=False)],
    questions: Annotated[Path, typer.Option("--questions", help="Lines of {question, expected: [names]}.")],
    as_json: JsonOption = False,
) -> None:
    """Ask an expert questions: the share whose answer is among the first five patterns, and the size of its file."""
    from deployments.bench.expert import run_expert

    print_report(run_expert(file, questions), as_json)


def _run_batch(items: int, encoder: str, *, is_killing: bool, is_s3: bool, cpus: int | None) -> Report:
    from deployments.bench import batch as measured
    from deployments.bench.batch_kills import Killer, run_job_in_actors
    from deployments.bench.batch_storage import storage
    from deployments.bench.corpus import standard_library_sentences
    from deployments.bench.report import Report, conditions
    from deployments.job_request import JobRequest
    from deployments.settings import Settings

    texts = standard_library_sentences(items)
    bare_texts = texts[: measured.BARE_TEXTS]
    before = measured.bare_encoder_per_s(encoder, bare_texts, 256)
    killer = Killer(len(texts)) if is_killing else None
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as folder, storage(Path(folder), is_s3=is_s3) as places:
        source = places.put(measured.write_corpus(Path(folder), texts))
        settings = Settings(memory_storage_path=places.volume_url, encoder=encoder)
        request, warm_request = (JobRequest(source=source, memory=name, create=True) for name in ("bench", "warm"))
        with measured.ProcessWatch() as watch:
            if killer is None:
                ran, *warm = measured.run_jobs_here(settings, (request, warm_request), (watch.told,), cpus)
            else:
                ran, *warm = [run_job_in_actors(settings, request, (watch.told, killer.told), cpus)]
        taught = measured.taught_count(settings, "bench")
    after = measured.bare_encoder_per_s(encoder, bare_texts, 256)
    bare_per_s = (before + after) / 2
    figures, seen = measured.figures_of(ran, bare_per_s, watch)
    if warm:  # a second job finds what Ray Data has started for the first
        figures["rate_over_encoder_warm"] = warm[0].per_s / bare_per_s
    figures |= {"lost": max(0.0, len(texts) - taught), "repeated": max(0.0, taught - len(texts))}
    told = conditions(
        encoder=encoder,
        n=len(texts),
        status=ran.info.status,
        learned=ran.info.learned,
        runs=ran.info.runs,
        killed={} if killer is None else killer.killed,
        storage="s3 (moto, over HTTP)" if is_s3 else "file",
        encoder_per_s_before=before,
        encoder_per_s_after=after,
        **seen,
    )
    return Report(bench="batch", figures=figures, conditions=told)
