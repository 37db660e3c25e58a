"""From a progress callback that must not wait to the client's progress notifications, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deployments.mcp.observing import Report
from memory_core.progress import OnProgress


@asynccontextmanager
async def reported(report: Report) -> AsyncIterator[OnProgress]:
    """What is told inside has been sent when this ends without an error."""
    told: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()

    async def send() -> None:
        while (item := await told.get()) is not None:
            await report(item[0], 1.0, item[1])

    sender = asyncio.create_task(send())
    try:
        yield lambda fraction, phase: told.put_nowait((fraction, phase))
        told.put_nowait(None)
        await sender
    finally:
        sender.cancel()
