"""On whose behalf a request is answered: which memories it reaches, and which one it means when it names none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from memory_core.backend import MemoryBackend
from memory_core.errors import Conflict, InvalidInput
from memory_core.ids import MemoryName, parse_memory_name
from memory_core.results import MemoryInfo

if TYPE_CHECKING:
    from memory_core.jobs.progress import JobPage

CreateChosen = Callable[[MemoryName, dict[str, Any]], Awaitable[MemoryInfo]]


class Jobs(Protocol):
    """Corpora that are being taught."""

    async def list_jobs(self, *, limit: int = 50, cursor: str | None = None) -> JobPage:
        """Jobs that the caller sees, newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """``create_chosen`` makes a memory with some settings chosen; ``memory`` is that of the connection.

    jobs: None where there is no cluster to run any.
    """

    backend: MemoryBackend
    create_chosen: CreateChosen
    memory: MemoryName | None
    jobs: Jobs | None = None

    def named(self, raw: str | None) -> MemoryName:
        """The memory meant by an argument; InvalidInput when neither it nor the connection names one."""
        if raw is not None:
            return parse_memory_name(raw)
        if self.memory is None:
            raise InvalidInput(
                "No memory is named.", hint="Send the argument memory, or connect to /memories/NAME/mcp."
            )
        return self.memory

    async def create_own(self) -> None:
        """Create the memory of the connection, with the settings of the service; nothing happens when it exists."""
        assert self.memory is not None
        try:
            await self.create_chosen(self.memory, {})
        except Conflict:
            return


FindCaller = Callable[[object | None], Awaitable[Caller]]
"""From the HTTP request (None over stdio) to the caller; raises NeuralMemoryError."""
