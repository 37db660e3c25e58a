"""serve, stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from deployments.cli import output
from memory_core.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from deployments.run_file import RunFile
    from deployments.settings import Settings

STOP_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.1

PortOption = Annotated[int | None, typer.Option(min=1, max=65535, help="HTTP port.", show_default="8000")]


class Proxy(StrEnum):
    """What takes the HTTP connections."""

    AUTO = "auto"
    HAPROXY = "haproxy"
    DEFAULT = "default"


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: PortOption = None,
    storage: Annotated[
        str | None, typer.Option(help="Folder or storage URL.", show_default="~/.neural-memory/volume")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="minilm, static, hash or hf:ID.", show_default="minilm")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.", show_default="INFO")] = None,
    durability: Annotated[
        str | None,
        typer.Option(help="sync, group or group(MS): what shares one disk sync.", show_default="group"),
    ] = None,
    proxy: Annotated[
        Proxy, typer.Option(help="HTTP front: haproxy is several times faster, default runs everywhere.")
    ] = Proxy.AUTO,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Run in the background once it is ready.")] = False,
) -> None:
    """Start the service; Ctrl-C ends it."""
    settings = chosen_settings(
        host=host,
        port=port,
        memory_storage_path=storage,
        encoder=encoder,
        log_level=log_level,
        memory_durability=durability,
    )
    if detach:
        _serve_detached(settings, proxy)
    else:
        _serve_here(settings, proxy)


def stop(port: PortOption = None) -> None:
    """Stop the service on this machine."""
    settings = chosen_settings(port=port)
    pid = _run_file(settings).pid()
    if pid is None:
        raise NotFound(
            f"No service of yours runs on port {settings.port}.",
            code="NOT_RUNNING",
            hint="Start one: neural-memory serve",
        )
    os.kill(pid, signal.SIGTERM)
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    while _run_file(settings).pid() == pid:
        if time.monotonic() > deadline_s:
            raise Unavailable(f"Process {pid} did not end within {STOP_TIMEOUT_S:.0f} s.", hint="Look at its log.")
        time.sleep(_POLL_S)
    output.out.print(f"Stopped the service on port {settings.port}.")


def chosen_settings(**chosen: object) -> Settings:
    """The settings with what the command line says; InvalidInput in our words when a value does not fit."""
    from pydantic import ValidationError

    from deployments.settings import Settings
    from memory_core.errors import InvalidInput

    try:
        return Settings.model_validate({key: value for key, value in chosen.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"The setting {setting} does not fit: {first['msg']}.", hint="See --help.") from None


def serve_demo(settings: Settings, proxy: Proxy, begin: Callable[[], None]) -> None:
    """Serve in the foreground; ``begin`` is called once requests are answered."""
    _serve_here(settings, proxy, begin)


def _serve_here(settings: Settings, proxy: Proxy, begin: Callable[[], None] = lambda: None) -> None:
    from deployments.access.exposure import require_safe_exposure
    from deployments.ports import require_free_port
    from deployments.proxy_choice import prepared_ray

    require_free_port(settings.host, settings.port)
    require_safe_exposure(settings)
    _load_pretrained(settings)
    with _run_file(settings).hold(), prepared_ray(proxy.value, is_loopback=settings.is_loopback) as front:
        output.out.print(f"Starting on {settings.base_url}", markup=False, soft_wrap=True)
        output.out.print(
            f"volume {settings.storage_url}, encoder {settings.encoder}, HTTP front {front}", soft_wrap=True
        )
        from deployments.serve_process import run_service

        def ready(logs_folder: str) -> None:
            _announce(settings, logs_folder)
            begin()

        run_service(settings, ready)
    output.out.print("Stopped.")


def _load_pretrained(settings: Settings) -> None:
    if not settings.pretrained:
        return
    from deployments.pretrained import load_pretrained

    made = asyncio.run(load_pretrained(settings))
    output.out.print(f"Pre-trained memories loaded: {', '.join(made) or 'none, all are there'}", markup=False)


def _announce(settings: Settings, logs_folder: str) -> None:
    output.out.print(f"Ready on {settings.base_url} (API: {settings.base_url}/docs)", markup=False, soft_wrap=True)
    output.out.print(f"Page: {settings.base_url}/ui", markup=False, soft_wrap=True)
    output.out.print(f"MCP: {settings.mcp_url} (or /memories/NAME/mcp)", markup=False, soft_wrap=True)
    output.out.print(f"logs of the processes: {logs_folder}", markup=False, soft_wrap=True)


def _serve_detached(settings: Settings, proxy: Proxy) -> None:
    from deployments.service_process import start_service

    service = start_service(settings, proxy=proxy.value)
    with output.err.status("starting Ray, the encoder and the HTTP door ..."):
        try:
            asyncio.run(service.wait_ready())
        except (Exception, KeyboardInterrupt):
            service.stop()
            raise
    output.out.print(f"Ready on {service.base_url} (log: {service.log}). End it with: neural-memory stop", markup=False)
    output.out.print(f"MCP: {settings.mcp_url} (or /memories/NAME/mcp)", markup=False)


def _run_file(settings: Settings) -> RunFile:
    from deployments.run_file import RunFile
    from deployments.settings import home_folder

    return RunFile(home_folder() / "run", settings.port)
