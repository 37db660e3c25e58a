"""Progress passes from the work to the client while the work goes on."""

from __future__ import annotations

import asyncio

import pytest

from deployments.mcp.reporting import reported
from memory_core.errors import Unavailable
from memory_core.progress import OnProgress

Told = list[tuple[float, float, str]]


@pytest.fixture
def told() -> Told:
    return []


async def test_only_steps_forward_are_told(told: Told) -> None:
    async def work(on_progress: OnProgress) -> str:
        for share in (0.1, 0.5, 0.5, 0.3, 1.0):
            on_progress(share, "rehearsing")
        return "done"

    async def report(*step: float | str) -> None:
        told.append(step)  # type: ignore[arg-type]

    assert await reported(work, report) == "done"
    assert [share for share, _, _ in told] == [0.1, 0.5, 1.0]


async def test_a_step_is_told_before_the_work_ends(told: Told) -> None:
    is_told = asyncio.Event()

    async def work(on_progress: OnProgress) -> None:
        on_progress(0.5, "half")
        await is_told.wait()

    async def report(*_: float | str) -> None:
        is_told.set()

    await reported(work, report)


async def test_a_failure_of_the_work_comes_through() -> None:
    async def work(_: OnProgress) -> None:
        raise Unavailable("The owner is gone.")

    async def report(*_: float | str) -> None:
        raise AssertionError

    with pytest.raises(Unavailable):
        await reported(work, report)


async def test_whoever_stops_waiting_ends_the_work() -> None:
    has_begun, has_ended = asyncio.Event(), asyncio.Event()

    async def work(_: OnProgress) -> None:
        has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            has_ended.set()

    async def report(*_: float | str) -> None:
        return

    waiting = asyncio.create_task(reported(work, report))
    await has_begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert has_ended.is_set()
