"""The crash scenario in processes of their own, each killed at one instant, and what was wrong with what was left."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Iterable
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

from memory_core.errors import Internal
from memory_core.storage.open_store import open_store
from memory_core.storage.ram_store import RamStore
from memory_core.testing.crash_scenario import NAME, SCENARIO, Finding, check_recovery, model_marks, run_and_die
from memory_core.testing.s3_server import fresh_bucket_url
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume

_NEVER: Final = 1_000_000


class KillTable:
    """Deaths on a fresh folder each, or on a fresh bucket each when there are ``options`` of an S3 server."""

    def __init__(self, folder: Path, options: dict[str, Any] | None = None) -> None:
        self._folder = folder
        self._options = options or {}
        self._marks = model_marks(RamStore(uuid.uuid4().hex))
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["memory_core.testing.crash_scenario"])

    def count_instants(self) -> int:
        """How many instants the scenario has when nobody dies."""
        exit_code, lines = self._live(self._fresh_url(), _NEVER)
        if exit_code != 0 or len(lines) != len(SCENARIO) + 1:
            raise Internal(f"The scenario ended with {exit_code} after {lines[-1:]} although nobody killed it.")
        return int(lines[-1].split()[1])

    def die_at(self, instant: int) -> Finding | None:
        """What was wrong after a death at an instant; None when every promise was kept."""
        url = self._fresh_url()
        exit_code, lines = self._live(url, instant)
        if exit_code != -SIGKILL:
            raise Internal(f"The process that was to be killed at instant {instant} ended with {exit_code}.")
        return check_recovery(open_store(url, **self._options), self._marks, len(lines))

    def die_at_each(self, instants: Iterable[int]) -> dict[int, str]:
        """By instant, what was wrong."""
        findings = {instant: self.die_at(instant) for instant in instants}
        return {instant: f"{found.kind}: {found.text}" for instant, found in findings.items() if found is not None}

    def _live(self, url: str, last_instant: int) -> tuple[int | None, list[str]]:
        """Exit code, and the lines that the process logged."""
        log = self._folder / f"{uuid.uuid4().hex}.log"
        Volume(open_store(url, **self._options)).create(NAME, tiny_config())
        process = self._processes.Process(target=run_and_die, args=(url, self._options, last_instant, str(log)))
        process.start()
        process.join()
        return process.exitcode, log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def _fresh_url(self) -> str:
        return fresh_bucket_url(self._options) if self._options else (self._folder / uuid.uuid4().hex).as_uri()
