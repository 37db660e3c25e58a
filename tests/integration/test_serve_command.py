"""``neural-memory serve`` as people run it: a process that starts, answers, refuses a second one, and ends cleanly."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deployments.ports import free_port, require_free_port
from deployments.service_process import start_service
from deployments.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def test_the_service_starts_answers_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, short_folder: Path
) -> None:
    monkeypatch.setenv("HOME", str(short_folder))
    settings = Settings(memory_storage_path=str(short_folder / "v"), port=free_port(), encoder="hash")

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "deployments.cli", *arguments]
        return subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)

    service = start_service(settings, proxy="auto")
    try:
        asyncio.run(service.wait_ready())
        children = psutil.Process(service.process.pid).children(recursive=True)
        created = command("create", "notes", "--url", settings.base_url, "--units", "64")
        learned = command("observe", "notes", "cats sleep all day", "--url", settings.base_url)
        second = command("serve", "--port", str(settings.port))
        stopped = command("stop", "--port", str(settings.port))
        exit_code = service.process.wait(60)
    finally:
        service.stop()
    assert (created.returncode, learned.returncode) == (0, 0), created.stderr + learned.stderr
    assert (second.returncode, "PORT_TAKEN" in second.stderr, "Traceback" in second.stderr) == (1, True, False)
    assert (stopped.returncode, exit_code) == (0, 0)
    require_free_port(settings.host, settings.port)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
