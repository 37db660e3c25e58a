"""A service as a child process: start it, wait until it is ready, end it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployments.http_client import RemoteBackend
from deployments.ports import require_free_port
from deployments.settings import Settings, home_folder
from memory_core.errors import Unavailable

START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.2
_LOG_TAIL_LINES: Final = 8


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A started ``neural-memory serve``; what it prints goes to ``log``."""

    process: subprocess.Popen[bytes]
    base_url: str
    log: Path

    async def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return once /ready says so; Unavailable with the end of the log when it ends or takes too long."""
        backend = RemoteBackend(self.base_url, timeout_s=5.0)
        deadline_s = time.monotonic() + timeout_s
        try:
            while not await backend.is_ready():
                if self.process.poll() is not None:
                    raise self._failed("ended while starting")
                if time.monotonic() > deadline_s:
                    raise self._failed(f"was not ready after {timeout_s:.0f} s")
                await asyncio.sleep(_POLL_S)
        finally:
            await backend.close()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to end and wait; it is killed when it does not within ``timeout_s``."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _failed(self, what: str) -> Unavailable:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-_LOG_TAIL_LINES:]
        tail = "\n".join(lines)
        return Unavailable(
            f"The service {what}.\n{tail}".strip(), code="START_FAILED", hint=f"The whole log: {self.log}"
        )


def start_service(settings: Settings, *, proxy: str, clear: Path | None = None) -> ServiceProcess:
    """Start a service in a session of its own, so that it outlives this terminal. Conflict when the port is taken.

    ``clear``: a folder that is emptied first, once it is certain that no service on this port uses it.
    """
    require_free_port(settings.host, settings.port)
    if clear is not None:
        shutil.rmtree(clear, ignore_errors=True)
    log = home_folder() / "logs" / f"serve-{settings.port}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "deployments.cli", "serve", *serve_arguments(settings, proxy)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    return ServiceProcess(process=process, base_url=settings.base_url, log=log)


def serve_arguments(settings: Settings, proxy: str) -> list[str]:
    """The options of ``serve`` that give these settings."""
    values = {
        "--host": settings.host,
        "--port": str(settings.port),
        "--storage": settings.storage_url,
        "--encoder": settings.encoder,
        "--log-level": settings.log_level,
        "--durability": settings.memory_durability,
        "--proxy": proxy,
    }
    return [part for pair in values.items() for part in pair]
