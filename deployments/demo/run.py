"""One run of the demonstration: start a service of its own, show everything, end it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from deployments.demo import steps
from deployments.demo.screen import Screen
from deployments.http_client import RemoteBackend
from deployments.service_process import ServiceProcess, start_service
from deployments.settings import Settings, home_folder

Step = Callable[[RemoteBackend, Screen], Awaitable[None]]

_STEPS: Final[tuple[tuple[Step, str, str], ...]] = (
    (
        steps.teach,
        "Teach it",
        f"A memory called {steps.MEMORY} reads sentences from the documentation inside your Python, over HTTP. Each\n"
        "one changes its weights a little, as it comes: there is no training run before or after.",
    ),
    (
        steps.learn_one,
        "Watch it learn",
        "Surprise says how new something is to the memory, from 0 (known) to 1 (never seen anything like it).\n"
        "It sees one sentence about something else entirely, three times.",
    ),
    (
        steps.ask,
        "Ask it",
        "Five questions that are nowhere in the text. An answer is put together from the patterns that fit best.",
    ),
    (
        steps.crash,
        "Crash it",
        "The memory lives in a process of its own. That process is killed; whatever was confirmed must survive.",
    ),
    (
        steps.fork,
        "Fork it",
        "A fork starts from a checkpoint and then goes its own way; what it learns does not reach its parent.",
    ),
)


def run_demo(console: Console, settings: Settings, *, proxy: str, keep: bool) -> int:
    """Run it all; the exit code is 0 when every claim held. Conflict when the port is taken, before anything starts."""
    volume = home_folder() / f"demo-{settings.port}"
    settings = settings.model_copy(update={"memory_storage_path": volume.as_uri()})
    screen = Screen(console)
    console.print("[bold]Neural Memory[/bold]: a memory that learns, as a service. This takes about two minutes.")
    screen.step(
        "Start the service",
        "Ray (runs the processes), an encoder (turns text into vectors) and an HTTP door, on this machine only.",
    )
    service = _start(settings, proxy, volume, screen)
    is_kept = False
    try:
        asyncio.run(_show(service, screen))
        is_kept = keep
    finally:
        if not is_kept:
            _end(service, volume, screen)
    _say_goodbye(screen, service, settings, is_kept)
    return 1 if screen.failed_claims else 0


def _start(settings: Settings, proxy: str, volume: Path, screen: Screen) -> ServiceProcess:
    with screen.console.status("starting ..."):
        service = start_service(settings, proxy=proxy, clear=volume)
        try:
            asyncio.run(service.wait_ready())
        except BaseException:
            service.stop()
            raise
    screen.line(f"ready on {service.base_url} after {screen.elapsed_s:.0f} s (log: {service.log})")
    return service


async def _show(service: ServiceProcess, screen: Screen) -> None:
    remote = RemoteBackend(service.base_url)
    try:
        for step, title, explanation in _STEPS:
            screen.step(title, explanation)
            await step(remote, screen)
    finally:
        await remote.close()


def _end(service: ServiceProcess, volume: Path, screen: Screen) -> None:
    with screen.console.status("shutting down ..."):
        service.stop()
        shutil.rmtree(volume, ignore_errors=True)


def _say_goodbye(screen: Screen, service: ServiceProcess, settings: Settings, is_kept: bool) -> None:
    console = screen.console
    console.print()
    for claim in screen.failed_claims:
        console.print(f"[bold red]did not hold:[/bold red] {claim}")
    state = "the service is still running" if is_kept else "the service was shut down"
    console.print(f"Done in {screen.elapsed_s:.0f} s; {state}. Next:")
    name, url = steps.MEMORY, service.base_url
    port = "" if settings.port == Settings.model_fields["port"].default else f" --port {settings.port}"
    at = f" --url {url}" if port else ""
    ask = "-H 'content-type: application/json' -d '{\"prompt\": \"How do I copy a folder?\"}'"
    kept = [
        f"neural-memory infer {name} 'How do I copy a folder?'{at}",
        f"curl -s {url}/v1/memories/{name}/infer {ask}",
        f"claude mcp add --transport http neural-memory {url}/memories/{name}/mcp   # or any other MCP client",
        f"neural-memory stop{port}",
    ]
    ended = [
        f"neural-memory serve --detach{port}",
        f"neural-memory create my-notes{at}",
        f"neural-memory observe my-notes 'The first thing worth remembering.'{at}",
        f"claude mcp add --transport http neural-memory {url}/memories/my-notes/mcp   # or any other MCP client",
    ]
    for command in kept if is_kept else ended:
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)
