"""``neural-memory bench``: measurements that anyone can repeat. Option and figure names are stable."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from deployments.bench.progress import Progress
    from deployments.bench.report import Report
    from deployments.cli.connection import Connection
    from memory_core.results import Channel

bench_app: Final = typer.Typer(help="Measure recall, surprise and more.", no_args_is_help=True)

UrlOption = Annotated[
    str | None, typer.Option("--url", help="Measure a running service instead of a fresh volume in this process.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
VariantOption = Annotated[str | None, typer.Option("--variant", help="Fast weights to use.", show_default="sparse")]


@bench_app.command()
def recall(
    data: Annotated[Path, typer.Option("--data", help="Folder with observations.jsonl and queries.jsonl.")],
    pool: Annotated[bool, typer.Option("--pool", help="All observations into one memory.")] = False,
    without: Annotated[list[str] | None, typer.Option("--without", help="Leave a channel out; repeatable.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also each channel left out and alone, cosine, BM25 and the sum of both.")
    ] = False,
    sleep: Annotated[
        bool, typer.Option("--sleep", help="Consolidate before asking, which learns the weights of the channels.")
    ] = False,
    variant: VariantOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evidence recall: observe a data set, ask its questions.

    observations.jsonl has {id, text, memory, time?, session?} in order; queries.jsonl {question, evidence_ids,
    category, memory}. One fresh memory per value of `memory`.
    """
    channels = _all_channels_but(without or [])
    plan = _RecallPlan(
        data=data, is_pooled=pool, variant=variant, channels=channels, is_compared=compare, has_slept=sleep
    )
    print_report(_run(lambda backend, bar: _recall(backend, bar, plan), url, "observing and asking"), as_json)


@bench_app.command()
def surprise(
    data: Annotated[Path, typer.Option("--data", help="JSON file {name, stored: [...], probes: [{text, label}]}.")],
    variant: VariantOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Surprise: observe the stored texts, score the probes without learning them."""
    print_report(
        _run(lambda backend, bar: _surprise(backend, bar, data, variant), url, "observing and scoring"), as_json
    )


@bench_app.command()
def predict(
    data: Annotated[Path, typer.Option("--data", help="Folder with observations.jsonl that has sessions.")],
    variant: VariantOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prediction: observe conversations, then ask with the second half of each turn for the turn that came next.

    hit@10 beside hit@10_cosine, the nearest turns to the same query, and hit@10_cosine_order, those with what
    followed each of them.
    """
    print_report(_run(lambda backend, bar: _predict(backend, bar, data, variant), url, "observing and asking"), as_json)


@bench_app.command()
def retention(
    observations: Annotated[int, typer.Option("--observations", min=200, help="How many sentences to learn.")] = 10_000,
    variant: VariantOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write the curve as a PNG.")] = None,
) -> None:
    """Retention: are the first observations still known, within the budget of units and up to four times over it?"""
    report = _run(
        lambda backend, bar: _retention(backend, bar, observations, variant, plot), url, "observing and asking again"
    )
    print_report(report, as_json)


@bench_app.command()
def capacity(
    pairs: Annotated[int, typer.Option("--pairs", min=64, help="Pairs to write at most.")] = 65_536,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    as_json: JsonOption = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write the curves as a PNG.")] = None,
) -> None:
    """Capacity: pairs that the fast weights of every variant keep, beside an exact table of vectors."""
    from deployments.bench.capacity import run_capacity
    from deployments.bench.report import Report

    with _bar("writing pairs") as progress:
        figures, told, rows = run_capacity(pairs_max=pairs, device=device, plot=plot, advance=progress.advance)
    print_report(Report(bench="capacity", figures=figures, conditions={**told, "points": rows}), as_json)


@bench_app.command()
def cores(as_json: JsonOption = False) -> None:
    """Cores: the Titans fast weights beside titans-pytorch (extra `bench`) on the same pairs."""
    from deployments.bench.cores import run_cores
    from deployments.bench.report import Report

    with _bar("learning pairs") as progress:
        figures, told, rows = run_cores(advance=progress.advance)
    print_report(Report(bench="cores", figures=figures, conditions={**told, "points": rows}), as_json)


@bench_app.command()
def gates(
    pairs: Annotated[int, typer.Option("--pairs", min=512, help="Pairs to write at most.")] = 8_192,
    as_json: JsonOption = False,
) -> None:
    """Gates: pairs kept with constant, annealed, surprise and learned gates, on unrelated and on text-like keys."""
    from deployments.bench.gates import run_gates
    from deployments.bench.report import Report

    with _bar("writing pairs") as progress:
        figures, told, rows = run_gates(pairs_max=pairs, advance=progress.advance)
    print_report(Report(bench="gates", figures=figures, conditions={**told, "points": rows}), as_json)


@bench_app.command()
def throughput(
    key_dim: Annotated[list[int] | None, typer.Option("--key-dim", help="Key sizes; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Throughput: pairs that every variant learns and reads a second by key size, on the CPU and on CUDA if present."""
    from deployments.bench.report import Report
    from deployments.bench.throughput import DIMS, run_throughput

    figures, told, rows = run_throughput(dims=key_dim or DIMS)
    print_report(Report(bench="throughput", figures=figures, conditions={**told, "points": rows}), as_json)


@bench_app.command()
def speed(
    patterns: Annotated[int, typer.Option("--patterns", min=100, max=16_384, help="How full the memory is.")] = 16_000,
    encoder: Annotated[str, typer.Option("--encoder", help="Encoder of the sentences.")] = "minilm",
    variant: VariantOption = None,
    as_json: JsonOption = False,
) -> None:
    """Speed: one observe, one infer and a chunk of 1,000 in a filled memory, without the encoder, on one thread."""
    import torch

    from deployments.bench.corpus import installed_sentences
    from deployments.bench.report import Report, conditions
    from deployments.bench.speed import needed_sentences, speed_figures
    from memory_core.config import MemoryConfig
    from memory_core.encoding.registry import open_encoder

    torch.set_num_threads(1)
    opened, sentences = open_encoder(encoder), installed_sentences(needed_sentences(patterns))
    chosen: dict[str, Any] = {"variant": variant} if variant else {}
    config = MemoryConfig(
        encoder=opened.encoder_id, encoder_fingerprint=opened.fingerprint, key_dim=opened.key_dim, **chosen
    )
    with _bar("encoding sentences") as progress:
        figures = speed_figures(opened, config, sentences, patterns, progress)
    told = conditions(encoder=encoder, variant=config.variant, n=len(sentences), threads=1, clock="processor time")
    print_report(Report(bench="speed", figures=figures, conditions=told), as_json)


@bench_app.command()
def storage(
    patterns_max: Annotated[
        int, typer.Option("--patterns-max", min=1_000, help="Largest memory to checkpoint: 1000, 10000 or 100000.")
    ] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Storage: group commit, checkpoint, restore, fork and listing, on this machine's disk."""
    from deployments.bench.storage import run_storage

    with _bar("writing") as progress:
        report = run_storage(patterns_max, progress)
    print_report(report, as_json)


@bench_app.command()
def crash(
    runs: Annotated[int, typer.Option("--runs", min=1, help="How many processes to kill.")] = 100,
    s3: Annotated[bool, typer.Option("--s3", help="On an S3 server (extras `s3` and `dev`).")] = False,
    as_json: JsonOption = False,
) -> None:
    """Crash: kill a memory's owner at the instants of its day and count what is lost, doubled or corrupt."""
    from deployments.bench.crash import run_crash

    with _bar("killing processes") as progress:
        report = run_crash(runs, is_s3=s3, progress=progress)
    print_report(report, as_json)


@bench_app.command()
def cluster(
    memories: Annotated[int, typer.Option("--memories", min=2, help="How many to make.")] = 24,
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, help="Of calls, to each crowd of memories.")] = 5.0,
    small: Annotated[bool, typer.Option("--small", help="Of 256 units instead of the default budget.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Cluster: creation, activation, calls, RAM per memory and forks, on three simulated nodes of this machine."""
    from deployments.bench.service_bench import cluster_report

    with tempfile.TemporaryDirectory(prefix="neural-memory-bench-") as folder, _bar("calling memories") as progress:
        report = cluster_report(Path(folder), memories=memories, seconds=seconds, is_small=small, progress=progress)
    print_report(report, as_json)


@bench_app.command()
def population(
    memories: Annotated[int, typer.Option("--memories", min=2)] = 1_000,
    active: Annotated[int, typer.Option("--active", min=1, help="Called at a time; the window wanders.")] = 50,
    seconds: Annotated[float, typer.Option("--seconds", min=1)] = 120.0,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    small: Annotated[bool, typer.Option("--small", help="Of 256 units instead of the default budget.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Population: many memories, few active at a time, on three simulated nodes; nothing lost, RAM bounded."""
    from deployments.bench.population import PopulationPlan
    from deployments.bench.service_bench import population_report

    plan = PopulationPlan(memories=memories, active=active, seconds=seconds, seed=seed)
    with tempfile.TemporaryDirectory(prefix="neural-memory-bench-") as folder, _bar("calling memories") as progress:
        report = population_report(Path(folder), plan, is_small=small, progress=progress)
    print_report(report, as_json)


@bench_app.command()
def scale(
    memories: Annotated[int, typer.Option("--memories", min=1)] = 100_000,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=10_000)] = 100,
    hosts_per_node: Annotated[int, typer.Option("--hosts-per-node", min=1, max=64)] = 2,
    host_room_mib: Annotated[int, typer.Option("--host-room-mib", min=256, help="Of states in each host.")] = 16_384,
    calls_per_s: Annotated[float, typer.Option("--calls-per-s", min=0.1, help="On the whole cluster.")] = 2_000.0,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Simulated; the second half counts.")] = 300.0,
    patterns: Annotated[int, typer.Option("--patterns", min=0, help="Learned by each memory.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Scale: simulate a plan of many memories on many nodes, from measured costs. Starts nothing."""
    from dataclasses import asdict

    from cluster.scale import ScalePlan, simulated
    from deployments.bench.report import Report, conditions

    plan = ScalePlan(
        memories=memories,
        nodes=nodes,
        hosts_per_node=hosts_per_node,
        host_room_mib=host_room_mib,
        calls_per_s=calls_per_s,
        seconds=seconds,
        patterns=patterns,
        seed=seed,
    )
    print_report(
        Report(bench="scale", figures=simulated(plan), conditions=conditions(**asdict(plan), n=memories)), as_json
    )


@bench_app.command()
def sizing(
    memories: Annotated[int, typer.Option("--memories", min=2, help="How many to ask, a process for each.")] = 2,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Of each of the two runs.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Sizing: the throughput predicted for two nodes from what a call costs on one, beside what two nodes reach."""
    from deployments.bench.service_bench import sizing_report

    with tempfile.TemporaryDirectory(prefix="neural-memory-bench-") as folder, _bar("asking memories") as progress:
        report = sizing_report(Path(folder), memories=memories, seconds=seconds, progress=progress)
    print_report(report, as_json)


@bench_app.command()
def standby(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times that the owner's process is killed.")] = 3,
    small: Annotated[bool, typer.Option("--small", help="Of 256 units instead of the default budget.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Standby: the owner of a memory is killed, with a standby on another simulated node and without."""
    from deployments.bench.service_bench import standby_report

    with tempfile.TemporaryDirectory(prefix="neural-memory-bench-") as folder, _bar("killing owners") as progress:
        report = standby_report(Path(folder), rounds=rounds, is_small=small, progress=progress)
    print_report(report, as_json)


@bench_app.command()
def chaos(
    seconds: Annotated[float, typer.Option("--seconds", min=5, help="How long processes are killed.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", help="Of what is called and killed.")] = 0,
    every: Annotated[float, typer.Option("--every", min=1, help="Seconds from kill to kill.")] = 3.5,
    as_json: JsonOption = False,
) -> None:
    """Chaos: eight clients against a service whose processes are killed every few seconds."""
    from deployments.bench.service_bench import chaos_report

    with tempfile.TemporaryDirectory(prefix="neural-memory-bench-") as folder, _bar("calling memories") as progress:
        report = chaos_report(Path(folder), seconds=seconds, seed=seed, every_s=every, progress=progress)
    print_report(report, as_json)


async def _retention(
    backend: Connection, progress: Progress, observations: int, variant: str | None, plot: Path | None
) -> Report:
    from deployments.bench.corpus import standard_library_sentences
    from deployments.bench.report import Report, conditions
    from deployments.bench.retention import MULTIPLES, budget_curve, draw, first_hundred

    sentences = standard_library_sentences(observations)
    async with _fresh_memory(backend, variant) as info:
        figures = await first_hundred(backend, info.name, sentences, progress)
    budget = round(len(sentences) / max(MULTIPLES))
    async with _fresh_memory(backend, variant, units=budget) as info:
        curve = await budget_curve(backend, info.name, sentences, budget, progress)
    for row in curve:
        figures[f"recall_at_{row['multiple']:g}x"] = row["all"]
        figures[f"oldest_tenth_at_{row['multiple']:g}x"] = row["oldest_tenth"]
    if plot is not None:
        draw(curve, plot)
    chosen = conditions(encoder=info.encoder, variant=variant or "sparse", n=len(sentences), budget=budget, curve=curve)
    return Report(bench="retention", figures=figures, conditions=chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RecallPlan:
    data: Path
    is_pooled: bool
    variant: str | None
    channels: tuple[Channel, ...]
    is_compared: bool
    has_slept: bool


def _all_channels_but(left_out: list[str]) -> tuple[Channel, ...]:
    from memory_core.errors import InvalidInput
    from memory_core.results import CHANNELS

    unknown = set(left_out) - set(CHANNELS)
    if unknown:
        raise InvalidInput(f"Unknown channels: {', '.join(sorted(unknown))}.", hint=f"Use {', '.join(CHANNELS)}.")
    return tuple(channel for channel in CHANNELS if channel not in left_out)


async def _recall(backend: Connection, progress: Progress, plan: _RecallPlan) -> Report:
    from deployments.bench.baselines import BASELINES, ask_baselines
    from deployments.bench.data import load_questions, load_rows
    from deployments.bench.recall import RecallTally, ask_questions, ask_what_was_never_said, observe_rows
    from deployments.bench.report import Report, conditions
    from memory_core.encoding.registry import open_encoder

    rows = load_rows(plan.data)
    everything = load_questions(plan.data)
    questions = [question for question in everything if question.is_answerable]
    groups = ["all"] if plan.is_pooled else list(dict.fromkeys(row.memory for row in rows))
    tally, encoder = RecallTally(channels=plan.channels), ""
    ablated = {name: RecallTally(channels=_all_channels_but([name])) for name in plan.channels if plan.is_compared}
    alone = {name: RecallTally(channels=(name,)) for name in plan.channels if plan.is_compared}
    baselines = {name: RecallTally() for name in BASELINES if plan.is_compared}
    for group in groups:
        own_rows = [row for row in rows if plan.is_pooled or row.memory == group]
        own_questions = [question for question in questions if plan.is_pooled or question.memory == group]
        async with _fresh_memory(backend, plan.variant) as info:
            encoder = info.encoder
            await observe_rows(backend, info.name, own_rows, tally, progress)
            if plan.has_slept:
                await backend.consolidate(info.name)
            for asked in (tally, *ablated.values(), *alone.values()):
                await ask_questions(backend, info.name, own_rows, own_questions, asked, progress)
            never_said = [
                question.question
                for question in everything
                if not question.is_answerable and (plan.is_pooled or question.memory == group)
            ]
            await ask_what_was_never_said(backend, info.name, never_said, tally)
        if plan.is_compared:
            ask_baselines(own_rows, own_questions, open_encoder(encoder), baselines)
    measured = conditions(
        data=plan.data.name,
        pool=plan.is_pooled,
        encoder=encoder,
        variant=plan.variant or "sparse",
        channels=list(plan.channels),
        consolidated=plan.has_slept,
        n={"observations": len(rows), "questions": len(questions), "memories": len(groups)},
    )
    figures = tally.figures()
    for kind, tallies in (("_without", ablated), ("_only", alone), ("", baselines)):
        for name, other in tallies.items():
            figures |= other.recalls(f"{kind}_{name}")
    return Report(bench="recall", figures=figures, conditions=measured)


async def _predict(backend: Connection, progress: Progress, data: Path, variant: str | None) -> Report:
    from deployments.bench.data import load_rows
    from deployments.bench.prediction import PredictionTally, predict_turns
    from deployments.bench.recall import RecallTally, observe_rows
    from deployments.bench.report import Report, conditions
    from memory_core.encoding.registry import open_encoder

    rows, tally, encoder = load_rows(data), PredictionTally(), ""
    memories = list(dict.fromkeys(row.memory for row in rows))
    for memory in memories:
        own_rows = [row for row in rows if row.memory == memory]
        async with _fresh_memory(backend, variant) as info:
            encoder = info.encoder
            await observe_rows(backend, info.name, own_rows, RecallTally(), progress)
            await predict_turns(backend, info.name, own_rows, open_encoder(encoder), tally, progress)
    n = {"observations": len(rows), "asked": tally.asked, "memories": len(memories)}
    chosen = conditions(data=data.name, encoder=encoder, variant=variant or "sparse", n=n)
    return Report(bench="predict", figures=tally.figures(), conditions=chosen)


async def _surprise(backend: Connection, progress: Progress, data: Path, variant: str | None) -> Report:
    from deployments.bench.data import load_surprise
    from deployments.bench.report import Report, conditions
    from deployments.bench.surprise import surprise_figures

    probes = load_surprise(data)
    async with _fresh_memory(backend, variant) as info:
        figures = await surprise_figures(backend, info.name, probes, progress)
    n = {"stored": len(probes.stored), "probes": len(probes.probes)}
    return Report(
        bench="surprise",
        figures=figures,
        conditions=conditions(data=data.stem, encoder=info.encoder, variant=variant or "sparse", n=n),
    )


@contextlib.asynccontextmanager
async def _fresh_memory(backend: Connection, variant: str | None, **settings: Any) -> AsyncIterator[Any]:
    from memory_core.ids import MemoryName

    chosen = {"variant": variant, **settings} if variant else settings
    info = await backend.create_chosen(MemoryName(f"bench-{uuid.uuid4().hex[:12]}"), chosen)
    try:
        yield info
    finally:
        await backend.delete(info.name)


@bench_app.command("serve")
def serve_(
    seconds: Annotated[float, typer.Option(min=0.2, help="Load on each path at each number of clients.")] = 3.0,
    encoder: Annotated[
        str, typer.Option(help="Of the batches; everything else uses hash, which costs nothing.")
    ] = "minilm",
    proxy: Annotated[str, typer.Option(help="auto, haproxy or default.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Latency and rate of the service under load, beside a bare Serve echo and a bare actor call."""
    from deployments.proxy_choice import prepared_ray

    with tempfile.TemporaryDirectory(prefix="nm-bench-") as folder, prepared_ray(proxy, is_loopback=True) as front:
        # Only here: what it imports asks the environment that was just prepared.
        from deployments.bench.serve_bench import run_serve_bench

        print_report(run_serve_bench(folder, front=front, encoder=encoder, seconds=seconds), as_json)


@bench_app.command()
def growth(
    requests: Annotated[int, typer.Option(min=100, help="To send in all.")] = 100_000,
    warm_up: Annotated[int, typer.Option(min=1, help="Requests before growth counts.")] = 20_000,
    texts: Annotated[int, typer.Option(min=1, help="Different texts; then they come again.")] = 2_000,
    clients: Annotated[int, typer.Option(min=1, help="At once, each waiting for its answer.")] = 8,
    seconds: Annotated[float, typer.Option(min=1, help="End after so long, however many were sent.")] = 3_600.0,
    proxy: Annotated[str, typer.Option(help="auto, haproxy or default.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Growth: RAM of a whole service over many requests, by the process that holds it."""
    from deployments.proxy_choice import prepared_ray

    with tempfile.TemporaryDirectory(prefix="nm-bench-") as folder, prepared_ray(proxy, is_loopback=True) as front:
        from deployments.bench.growth import GrowthPlan, run_growth

        plan = GrowthPlan(requests=requests, warm_up=warm_up, texts=texts, clients=clients, seconds=seconds)
        with _bar("requests") as progress:
            report = run_growth(folder, plan, front=front, progress=progress)
        print_report(report, as_json)


@bench_app.command()
def costs(
    seconds: Annotated[float, typer.Option(min=1, help="Of each kind of request.")] = 10.0,
    proxy: Annotated[str, typer.Option(help="auto, haproxy or default.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Costs: processor time and stored bytes of an observation and a question, by the process that spends them."""
    from deployments.proxy_choice import prepared_ray

    with tempfile.TemporaryDirectory(prefix="nm-bench-") as folder, prepared_ray(proxy, is_loopback=True) as front:
        from deployments.bench.costs import run_costs

        print_report(run_costs(folder, front=front, seconds=seconds), as_json)


@bench_app.command()
def fuzz(
    http_cases: Annotated[int, typer.Option(min=0, help="Requests to the HTTP door.")] = 20_000,
    mcp_cases: Annotated[int, typer.Option(min=0, help="Messages to the MCP door.")] = 5_000,
    seed: Annotated[int, typer.Option(help="Other seeds give other requests.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make requests; one for a --url.")] = 2,
    url: UrlOption = None,
    served: Annotated[
        bool, typer.Option("--served", help="Start a whole service with two replicas, and fuzz it through its front.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send generated and broken requests to both doors; 5xx answers and crashes should be 0."""
    from deployments.proxy_choice import prepared_ray

    if served:
        with tempfile.TemporaryDirectory(prefix="nm-bench-") as folder, prepared_ray("auto", is_loopback=True) as front:
            from deployments.bench.fuzz import run_served_fuzz

            report = run_served_fuzz(folder, http_cases=http_cases, mcp_cases=mcp_cases, seed=seed, front=front)
    else:
        from deployments.bench.fuzz import run_fuzz

        report = run_fuzz(http_cases=http_cases, mcp_cases=mcp_cases, seed=seed, url=url, workers=workers)
    print_report(report, as_json)


def _run(work: Callable[[Connection, Progress], Awaitable[Report]], url: str | None, title: str) -> Report:
    with tempfile.TemporaryDirectory(prefix="neural-memory-bench-") as folder, _bar(title) as progress:
        return asyncio.run(_connected(work, url, folder, progress))


async def _connected(
    work: Callable[[Connection, Progress], Awaitable[Report]], url: str | None, folder: str, progress: Progress
) -> Report:
    from deployments.settings import Settings

    backend: Connection
    if url is None:
        from deployments.local import open_local

        backend = open_local(Settings(memory_storage_path=folder))
    else:
        from deployments.http_client import RemoteBackend

        backend = RemoteBackend(url)
    try:
        return await work(backend, progress)
    finally:
        await backend.close()


@contextlib.contextmanager
def _bar(title: str) -> Any:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f}"), TimeElapsedColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        class _Counted:
            def advance(self, amount: int) -> None:
                bar.advance(task, amount)

        yield _Counted()


def print_report(report: Report, as_json: bool) -> None:
    """One JSON object, or lines for people."""
    import json

    if as_json:
        typer.echo(json.dumps(report.to_json()))
        return
    for name, value in report.figures.items():
        typer.echo(f"{name:32} {value:10.4f}")
    typer.echo(f"conditions: {json.dumps(report.conditions)}")
