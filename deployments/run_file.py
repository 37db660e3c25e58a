"""Which service runs on which port: a file that the service keeps locked while it lives."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from memory_core.errors import Conflict


@dataclass(frozen=True, slots=True)
class RunFile:
    """The file of the service on ``port``, in ``folder``."""

    folder: Path
    port: int

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / f"serve-{self.port}.json"

    def hold(self) -> IO[str]:
        """Say that this process serves the port, for as long as the returned file is open; Conflict when one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self.path.open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.close()
            raise Conflict(
                f"A service for port {self.port} runs already.",
                code="PORT_TAKEN",
                hint="End it with: neural-memory stop",
            ) from None
        held.truncate(0)
        held.write(json.dumps({"pid": os.getpid()}))
        held.flush()
        return held

    def pid(self) -> int | None:
        """The process that serves the port, None when there is none: a lock cannot outlive its process."""
        try:
            with self.path.open("r+") as shared:
                try:
                    fcntl.flock(shared, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return int(json.loads(shared.read())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None
