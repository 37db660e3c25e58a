"""batch observe, status, list, cancel, resume, rejects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from deployments.cli import output
from deployments.cli.options import JsonOption, UrlOption
from memory_core.errors import InvalidInput
from memory_core.jobs.plan import MAX_ERRORS, JobId, parse_job_id
from memory_core.jobs.progress import ENDED, JobInfo, JobPage

if TYPE_CHECKING:
    from deployments.http_client import RemoteBackend
    from memory_core.jobs.record import JobShelf

batch_app: Final = typer.Typer(help="Teach memories whole corpora.", no_args_is_help=True)
_T = TypeVar("_T")
_POLL_S: Final = 1.0
_SHOWN: Final = ("job", "status", "memory", "items", "rejected", "obs_per_s", "source")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
LocalOption = Annotated[
    bool,
    typer.Option("--local", help="Work in this process, on the Ray cluster of RAY_ADDRESS or one of its own."),
]
RejectsOption = Annotated[
    Path | None, typer.Option("--rejects", help="Write the rows that were rejected to this file.", dir_okay=False)
]
DetachOption = Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")]
CpusOption = Annotated[int | None, typer.Option(min=1, help="Cores of the Ray cluster that --local starts.")]


@batch_app.command()
def observe(
    source: Annotated[str, typer.Argument(help="Path, URL or pattern of text, Markdown, JSONL, CSV or Parquet.")],
    memory: Annotated[str | None, typer.Option(help="The memory to teach.")] = None,
    memory_field: Annotated[str | None, typer.Option(help="Field that names each row's memory.")] = None,
    domain: Annotated[str | None, typer.Option(help="Label that answers can be filtered by.")] = None,
    text_field: Annotated[str, typer.Option(help="Field with the text.")] = "text",
    time_field: Annotated[str | None, typer.Option(help="Field with the time.")] = None,
    session_field: Annotated[str | None, typer.Option(help="Field with the session, whose order is kept.")] = None,
    split: Annotated[str, typer.Option(help="Of plain text: auto, line, paragraph or whole.")] = "auto",
    form: Annotated[
        str | None, typer.Option("--format", help="text, markdown, jsonl, csv, tsv or parquet, if names do not tell.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Of memories that are made.")] = None,
    create: Annotated[bool, typer.Option("--create", help="Make memories that are missing.")] = False,
    min_surprise: Annotated[float | None, typer.Option(help="Skip what is less new than that, 0 to 1.")] = None,
    max_errors: Annotated[
        int, typer.Option(help="Fail with more rejected rows than that; -1 never does.")
    ] = MAX_ERRORS,
    encoders: Annotated[int | None, typer.Option(help="How many encode at once.", show_default="one per core")] = None,
    gpus: Annotated[float, typer.Option(help="Of each of them; 0.5 lets two share one.")] = 0.0,
    job: Annotated[str | None, typer.Option(help="Id of the job; the same id goes on where it was.")] = None,
    rejects: RejectsOption = None,
    detach: DetachOption = False,
    cpus: CpusOption = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Teach a corpus. Killed anywhere it can go on: nothing is lost, nothing is learned twice."""
    from deployments.job_request import JobRequest

    request = JobRequest(
        source=source,
        memory=memory,
        memory_field=memory_field,
        domain=domain,
        text_field=text_field,
        time_field=time_field,
        session_field=session_field,
        split=split,
        form=form,
        encoder=encoder,
        create=create,
        min_surprise=min_surprise,
        max_errors=None if max_errors < 0 else max_errors,
        encoders=encoders,
        gpus=gpus,
        job=job,
    )
    request.reading()
    if local:
        from deployments.local_jobs import accept_local
        from deployments.settings import Settings

        accepted = asyncio.run(accept_local(Settings(), request)).job_id
    else:
        accepted = parse_job_id(_remote(url, lambda service: service.submit_job(request)).job)
    _follow(accepted, url=url, is_local=local, is_detached=detach, rejects=rejects, as_json=as_json, cpus=cpus)


@batch_app.command()
def resume(
    job: JobArgument,
    rejects: RejectsOption = None,
    detach: DetachOption = False,
    cpus: CpusOption = None,
    url: UrlOption = None,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go on with a job that failed, was cancelled or interrupted."""
    parsed = parse_job_id(job)
    if not local:
        _remote(url, lambda service: service.resume_job(parsed))
    _follow(parsed, url=url, is_local=local, is_detached=detach, rejects=rejects, as_json=as_json, cpus=cpus)


@batch_app.command()
def status(job: JobArgument, url: UrlOption = None, local: LocalOption = False, as_json: JsonOption = False) -> None:
    """Show how far a job is."""
    parsed = parse_job_id(job)
    info = _shelf().info(parsed) if local else _remote(url, lambda service: service.job(parsed))
    _print_info(info, as_json)


@batch_app.command("list")
def list_(url: UrlOption = None, local: LocalOption = False, as_json: JsonOption = False) -> None:
    """List the newest jobs."""
    page: JobPage = _shelf().list_jobs() if local else _remote(url, lambda service: service.list_jobs())
    if as_json:
        output.print_json(page)
    else:
        rows = [{name: getattr(info, name) for name in _SHOWN} for info in page.jobs]
        output.print_rows(rows, _SHOWN, "No jobs yet.")


@batch_app.command()
def cancel(job: JobArgument, url: UrlOption = None, local: LocalOption = False, as_json: JsonOption = False) -> None:
    """Ask a job to stop. What it taught stays; resume goes on."""
    parsed = parse_job_id(job)
    if local:
        _shelf().cancel(parsed)
        info = _shelf().info(parsed)
    else:
        info = _remote(url, lambda service: service.cancel_job(parsed))
    _print_info(info, as_json)


@batch_app.command("rejects")
def rejects_(
    job: JobArgument,
    to: Annotated[Path, typer.Option("-o", "--output", help="The file to write.", dir_okay=False)],
    url: UrlOption = None,
    local: LocalOption = False,
) -> None:
    """Write the rows that a job rejected, one JSON object {file, line, reason} a line."""
    size_bytes = _write_rejects(parse_job_id(job), to, url=url, is_local=local)
    output.out.print(f"Wrote {size_bytes} bytes to {to}.", markup=False, soft_wrap=True)


def _follow(
    job: JobId,
    *,
    url: str | None,
    is_local: bool,
    is_detached: bool,
    rejects: Path | None,
    as_json: bool,
    cpus: int | None,
) -> None:
    from deployments.job_bar import job_bar

    if not as_json:
        output.err.print(f"job {job}", markup=False)
    with job_bar(output.err) as bar:
        if is_local:
            from deployments.local_jobs import drive_local
            from deployments.settings import Settings

            info = drive_local(Settings(), job, bar, cpus=cpus)
        elif is_detached:
            info = _remote(url, lambda service: service.job(job))
        else:
            info = _remote(url, lambda service: _watch(service, job, bar))
    if rejects is not None and info.rejected:
        _write_rejects(job, rejects, url=url, is_local=is_local)
    _print_info(info, as_json)
    if info.status not in {"succeeded", "running", "pending"}:
        raise typer.Exit(1)


async def _watch(service: RemoteBackend, job: JobId, bar: Callable[[JobInfo], None]) -> JobInfo:
    """Until the job has ended, or nobody works on it."""
    while True:
        info = await service.job(job)
        bar(info)
        if info.status in ENDED or info.status == "interrupted":
            return info
        await asyncio.sleep(_POLL_S)


def _print_info(info: JobInfo, as_json: bool) -> None:
    from deployments.job_bar import said

    if as_json:
        output.print_json(info)
        return
    output.out.print(f"{info.job} {info.status}: {said(info)}", markup=False, soft_wrap=True)
    for failure in info.failures:
        output.out.print(f"  {failure.file}, line {failure.line}: {failure.reason}", markup=False, soft_wrap=True)
    if info.rejected > len(info.failures):
        output.out.print(f"  all of them: neural-memory batch rejects {info.job} -o FILE", markup=False)
    if info.error is not None:
        output.err.print(f"error {info.error}\n  {info.hint}", style="bold red", markup=False, soft_wrap=True)


def _write_rejects(job: JobId, to: Path, *, url: str | None, is_local: bool) -> int:
    async def fetch(service: RemoteBackend) -> bytes:
        return b"".join([piece async for piece in service.job_rejects(job)])

    data = b"".join(_shelf().rejects(job)) if is_local else _remote(url, fetch)
    try:
        return to.write_bytes(data)
    except OSError as error:
        raise InvalidInput(f"{to} cannot be written ({type(error).__name__}).", hint="Choose another file.") from error


def _shelf() -> JobShelf:
    from deployments.local_jobs import open_shelf
    from deployments.settings import Settings

    return open_shelf(Settings())


def _remote(url: str | None, work: Callable[[RemoteBackend], Awaitable[_T]]) -> _T:
    from deployments.http_client import RemoteBackend
    from deployments.settings import Settings

    async def opened() -> _T:
        settings = Settings()
        service = RemoteBackend(url or settings.base_url, api_key=settings.api_key)
        try:
            return await work(service)
        finally:
            await service.close()

    return asyncio.run(opened())
