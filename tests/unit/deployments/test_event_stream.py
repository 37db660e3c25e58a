"""Server-sent events: how far a long operation is, its end, and what happens when nobody listens any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from deployments.http.event_stream import streamed
from memory_core.errors import Conflict, NotFound
from memory_core.ids import MemoryName
from memory_core.progress import OnProgress
from memory_core.results import ConsolidateResult

RESULT = ConsolidateResult(
    memory=MemoryName("m"),
    patterns_merged=1,
    memory_compressed_by=0.5,
    stability_before=1.0,
    stability_after=1.0,
    stability_score=1.0,
    held_out=3,
    duration_ms=2.0,
)


async def parsed(parts: AsyncIterator[str]) -> list[tuple[str, dict[str, object]]]:
    found = []
    async for part in parts:
        kind, data, *rest = part.split("\n")
        assert rest == ["", ""]
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_progress_comes_first_and_the_result_last() -> None:
    async def work(on_progress: OnProgress) -> ConsolidateResult:
        on_progress(0.25, "merging")
        await asyncio.sleep(0)
        on_progress(1.0, "done")
        return RESULT

    answer = await streamed(work, "r")
    assert answer.media_type == "text/event-stream"
    events = await parsed(answer.body_iterator)  # type: ignore[arg-type]
    assert events[:2] == [
        ("progress", {"fraction": 0.25, "phase": "merging"}),
        ("progress", {"fraction": 1.0, "phase": "done"}),
    ]
    assert events[2][0] == "result"
    assert events[2][1]["held_out"] == 3


async def test_what_fails_before_the_first_progress_is_an_ordinary_error() -> None:
    async def work(_: OnProgress) -> ConsolidateResult:
        raise NotFound("No such memory.", code="MEMORY_NOT_FOUND")

    with pytest.raises(NotFound):
        await streamed(work, "r")


@pytest.mark.parametrize(
    ("error", "code"), [(Conflict("Stopped.", code="CANCELLED"), "CANCELLED"), (ValueError("secret"), "INTERNAL")]
)
async def test_what_fails_later_is_the_last_event_in_the_shape_of_every_error(error: Exception, code: str) -> None:
    async def work(on_progress: OnProgress) -> ConsolidateResult:
        on_progress(0.5, "rehearsing")
        raise error

    (*_, (kind, body)) = await parsed((await streamed(work, "r")).body_iterator)  # type: ignore[arg-type]
    assert kind == "error"
    assert body["error"]["code"] == code  # type: ignore[index]
    assert body["error"]["request_id"] == "r"  # type: ignore[index]
    assert "secret" not in json.dumps(body)


async def test_a_listener_that_goes_away_cancels_the_work() -> None:
    is_cancelled = asyncio.Event()

    async def work(on_progress: OnProgress) -> ConsolidateResult:
        on_progress(0.5, "rehearsing")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            is_cancelled.set()
            raise
        return RESULT

    parts = (await streamed(work, "r")).body_iterator
    assert "rehearsing" in str(await anext(parts))  # type: ignore[call-overload]
    await parts.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(is_cancelled.wait(), 60)
