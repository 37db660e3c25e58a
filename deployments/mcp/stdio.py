"""MCP over standard input and output: answers at once, loads everything else meanwhile, then hands over to the SDK.

Nothing but protocol reaches standard output: what anything else prints goes to standard error.
"""

from __future__ import annotations

import io
import json
import os
import select
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from deployments.mcp.opening import Opening
from deployments.mcp.tier import Tier

if TYPE_CHECKING:
    from deployments.mcp.caller import FindCaller

_CHUNK_BYTES: Final = 65_536
_QUIET_S: Final = 0.1
"""After this long without a message the client waits for nothing, and loading disturbs nobody."""


@dataclass
class Wire:
    """The client's ends of standard input and output, taken away from everything else in this process."""

    source: int
    sink: int
    pending: bytearray = field(default_factory=bytearray)
    is_at_end: bool = False

    def send(self, answer: bytes) -> None:
        """Write all of it."""
        while answer:
            answer = answer[os.write(self.sink, answer) :]

    def fill(self) -> None:
        """Take what has come; blocks when nothing has."""
        chunk = os.read(self.source, _CHUNK_BYTES)
        self.is_at_end = not chunk
        self.pending += chunk

    def next_line(self) -> bytes | None:
        """The next whole line that has come."""
        end = self.pending.find(b"\n") + 1
        if not end:
            return None
        line = bytes(self.pending[:end])
        del self.pending[:end]
        return line


def claim_wire() -> Wire:
    """Take the standard streams: from here on ``print`` and child processes write to standard error."""
    wire = Wire(source=os.dup(0), sink=os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return wire


@dataclass(frozen=True, slots=True)
class Behind:
    """What answers once the SDK is there: for whom, and what runs at the end."""

    find_caller: FindCaller
    close: Callable[[], Awaitable[None]]


def serve_stdio(load: Callable[[], Behind], tier: Tier) -> None:
    """Serve one client until it closes its end. ``load`` may take long: the first answers do not wait for it."""
    wire = claim_wire()
    opening = Opening(tier)
    loading = _Loading(load)
    if _open(wire, opening, loading):
        _hand_over(wire, opening, loading.wait(), tier)


class _Loading:
    """Loads beside the first answers; ``ready`` is a descriptor that becomes readable when that has ended."""

    def __init__(self, load: Callable[[], Behind]) -> None:
        self.ready, self._done = os.pipe()
        self._load_behind = load
        self._behind: Behind | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._load, daemon=True)
        self.is_begun = False

    def begin(self) -> None:
        """Start; it takes the processor from everything else for a second or two."""
        if not self.is_begun:
            self.is_begun = True
            self._thread.start()

    def wait(self) -> Behind:
        """What was loaded, once it is there; raises what loading raised."""
        self.begin()
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._behind is not None
        return self._behind

    def _load(self) -> None:
        try:
            import mcp.server.stdio  # noqa: F401  # used after the hand-over

            self._behind = self._load_behind()
        except BaseException as error:  # it belongs to whoever waits
            self._error = error
        finally:
            os.write(self._done, b"1")


def _open(wire: Wire, opening: Opening, loading: _Loading) -> bool:
    """Answer until the SDK takes over; False when the client left before."""
    while True:
        while (line := wire.next_line()) is not None:
            answer = opening.answer(line)
            if answer is None:
                wire.pending[:0] = line
                return True
            wire.send(answer)
        if wire.is_at_end:
            return bool(wire.pending)
        patience_s = None if loading.is_begun else _QUIET_S
        readable, _, _ = select.select([wire.source, loading.ready], [], [], patience_s)
        if loading.ready in readable:
            return True
        if wire.source in readable:
            wire.fill()
        else:
            loading.begin()


def _hand_over(wire: Wire, opening: Opening, behind: Behind, tier: Tier) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    from deployments.mcp.server import build_server

    server = build_server(behind.find_caller, tier)
    source = _Joined(b"".join(opening.replayed) + bytes(wire.pending), wire.source)
    text = io.TextIOWrapper(io.BufferedReader(source), encoding="utf-8", errors="replace")
    sink = _Sink(wire, opening.answered_ids)

    async def serve() -> None:
        try:
            async with stdio_server(anyio.wrap_file(text), sink) as (read, write):  # type: ignore[arg-type]
                await server.run(read, write, server.create_initialization_options())
        finally:
            await behind.close()

    anyio.run(serve)


class _Joined(io.RawIOBase):
    """What was read already, then the descriptor."""

    def __init__(self, first: bytes, descriptor: int) -> None:
        self._first = first
        self._descriptor = descriptor

    def readable(self) -> bool:
        """See io."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See io."""
        size = len(buffer)
        chunk = self._first[:size] or os.read(self._descriptor, size)
        self._first = self._first[size:]
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Sink:
    """Standard output for the SDK; drops its answers to what was answered before it came."""

    def __init__(self, wire: Wire, answered: list[str | int]) -> None:
        self._wire = wire
        self._answered = answered

    async def write(self, text: str) -> None:
        """One message."""
        import anyio

        if self._answered and self._is_answered(text):
            return
        await anyio.to_thread.run_sync(self._wire.send, text.encode())

    async def flush(self) -> None:
        """Nothing is held back."""

    def _is_answered(self, text: str) -> bool:
        message = json.loads(text)
        if "method" in message or message.get("id") not in self._answered:
            return False
        self._answered.remove(message["id"])
        return True
