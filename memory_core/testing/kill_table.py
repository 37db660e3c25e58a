"""The crash scenario in processes of their own, each killed at one instant, and what was wrong with what was left."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

import fsspec

from memory_core.errors import Internal
from memory_core.storage.open_store import open_store
from memory_core.storage.ram_store import RamStore
from memory_core.testing.crash_scenario import (
    NAME,
    SCENARIO,
    SETTINGS,
    Finding,
    check_recovery,
    model_marks,
    run_and_die,
)
from memory_core.testing.s3_server import fresh_bucket_url
from memory_core.testing.small_memory import tiny_config
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter

DAY: Final = range(len(SCENARIO))
_NEVER: Final = 1_000_000


class KillTable:
    """Deaths on a fresh folder each, or on a fresh bucket each when there are ``options`` of an S3 server."""

    def __init__(self, folder: Path, options: dict[str, Any] | None = None) -> None:
        self._folder = folder
        self._options = options or {}
        self._marks = model_marks(RamStore(uuid.uuid4().hex))
        self._processes = multiprocessing.get_context("forkserver")
        needed = ["s3fs", "aiobotocore.session", "memory_core.storage.s3_store"] if options else []
        self._processes.set_forkserver_preload(["memory_core.testing.crash_scenario", *needed])

    def count_instants(self) -> int:
        """How many instants the scenario has when nobody dies."""
        exit_code, lines = self._live(self._created(), _NEVER)
        if exit_code != 0 or len(lines) != len(SCENARIO) + 1:
            raise Internal(f"The scenario ended with {exit_code} after {lines[-1:]} although nobody killed it.")
        return int(lines[-1].split()[1])

    def die_at(self, instant: int) -> Finding | None:
        """What was wrong after a death at an instant; None when every promise was kept."""
        url = self._created()
        exit_code, lines = self._live(url, instant)
        if exit_code != -SIGKILL:
            raise Internal(f"The process that was to be killed at instant {instant} ended with {exit_code}.")
        return check_recovery(open_store(url, **self._options), self._marks, len(lines))

    def die_at_each(self, instants: Iterable[int]) -> dict[int, str]:
        """By instant, what was wrong."""
        findings = {instant: self.die_at(instant) for instant in instants}
        return {instant: f"{found.kind}: {found.text}" for instant, found in findings.items() if found is not None}

    def _live(self, url: str, last_instant: int, steps: range = DAY) -> tuple[int | None, list[str]]:
        """Exit code, and the lines that the process logged."""
        log = self._folder / f"{uuid.uuid4().hex}.log"
        arguments = (url, self._options, last_instant, str(log), steps)
        process = self._processes.Process(target=run_and_die, args=arguments)
        process.start()
        process.join()
        return process.exitcode, log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def _created(self) -> str:
        """A fresh volume with the memory at the start of its day."""
        url = self._fresh_url()
        Volume(open_store(url, **self._options)).create(NAME, tiny_config())
        return url

    def _fresh_url(self) -> str:
        return fresh_bucket_url(self._options) if self._options else (self._folder / uuid.uuid4().hex).as_uri()


class StepKillTable(KillTable):
    """Deaths in one step each, on a copy of the volume as it was before that step; the step is then done to its end.

    Where every storage call is a request, a whole day for each death takes too long. ``steps``: those to die in.
    """

    def __init__(self, folder: Path, options: dict[str, Any] | None = None, steps: Sequence[int] = DAY) -> None:
        super().__init__(folder, options)
        self._steps = steps
        self._before: dict[int, str] = {}
        self._instants: list[tuple[int, int]] = []

    def count_instants(self) -> int:
        """How many instants the steps have. Lives through the day once, copying the volume before each of them."""
        url = self._created()
        writer = MemoryWriter.open(open_store(url, **self._options), NAME, SETTINGS)
        for number in range(max(self._steps) + 1):
            if number in self._steps:
                self._before[number] = self._copied(url)
            SCENARIO[number].perform(writer)
        self._instants = [(number, instant) for number in self._steps for instant in self._instants_of(number)]
        return len(self._instants)

    def die_at(self, instant: int) -> Finding | None:
        """See KillTable; ``count_instants`` comes first."""
        number, in_step = self._instants[instant - 1]
        url = self._copied(self._before[number])
        exit_code, lines = self._live(url, in_step, range(number, number + 1))
        if exit_code != -SIGKILL:
            raise Internal(f"The process that was to be killed at instant {in_step} of step {number}: {exit_code}.")
        return check_recovery(open_store(url, **self._options), self._marks, number + len(lines), number + 1)

    def _instants_of(self, number: int) -> range:
        exit_code, lines = self._live(self._copied(self._before[number]), _NEVER, range(number, number + 1))
        if exit_code != 0 or len(lines) != 2:  # the step, and the count
            raise Internal(f"Step {number} ended with {exit_code} after {lines[-1:]} although nobody killed it.")
        return range(1, int(lines[-1].split()[1]) + 1)

    def _copied(self, url: str) -> str:
        """A copy of a volume, at another URL."""
        copy = self._fresh_url()
        files, path = fsspec.core.url_to_fs(url, **self._options)
        files.invalidate_cache()  # others wrote there since it was last listed
        files.copy(f"{path}/", f"{files._strip_protocol(copy)}/", recursive=True)
        return copy
