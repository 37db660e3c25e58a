"""Progress of a call, from whoever works to whoever asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from memory_core.progress import OnProgress

Report = Callable[[float, float, str], Awaitable[None]]
"""Tells the client: done, total, what is done."""

_T = TypeVar("_T")


async def reported(work: Callable[[OnProgress], Awaitable[_T]], report: Report) -> _T:
    """Do the work and report every step forward; whoever stops waiting ends the work."""
    steps: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(lambda share, phase: steps.put_nowait((share, phase))))
    task.add_done_callback(lambda _: steps.put_nowait(None))
    reached = -1.0
    try:
        while (step := await steps.get()) is not None:
            share, phase = step
            if share > reached:
                reached = share
                await report(share, 1.0, phase)
        return await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
