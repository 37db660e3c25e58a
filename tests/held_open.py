"""Async fixtures over contexts that hold task groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

_T = TypeVar("_T")


@asynccontextmanager
async def held_open(opening: AbstractAsyncContextManager[_T]) -> AsyncIterator[_T]:
    """A context whose task groups begin and end in one task, as they must; a fixture's own two halves run in two."""
    opened: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
    is_over = asyncio.Event()

    async def hold() -> None:
        async with opening as inner:
            opened.set_result(inner)
            await is_over.wait()

    holding = asyncio.create_task(hold())
    await asyncio.wait([opened, holding], return_when=asyncio.FIRST_COMPLETED)
    if holding.done():
        await holding
    yield opened.result()
    is_over.set()
    await holding
