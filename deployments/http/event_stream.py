"""Answers that say how far they are: server-sent events ``progress`` (several), then one ``result`` or ``error``.

The first event is awaited before the answer begins, so that what fails at once is an ordinary error answer. A client
that goes away cancels the work.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from starlette.responses import StreamingResponse

from deployments.error_map import error_body
from memory_core.errors import Internal, NeuralMemoryError
from memory_core.progress import OnProgress

EVENT_STREAM: Final = "text/event-stream"
_log = logging.getLogger(__name__)

Work = Callable[[OnProgress], Awaitable[Any]]
_Told = tuple[float, str] | None


async def streamed(work: Work, request_id: str) -> StreamingResponse:
    """Start the work and answer with its events; raises what the work raised before it told anything."""
    told: asyncio.Queue[_Told] = asyncio.Queue()
    task = asyncio.ensure_future(work(lambda fraction, phase: told.put_nowait((fraction, phase))))
    task.add_done_callback(lambda _: told.put_nowait(None))
    first = await told.get()
    if first is None:
        task.result()
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(first, told, task, request_id), media_type=EVENT_STREAM, headers=headers)


async def events(
    first: _Told, told: asyncio.Queue[_Told], task: asyncio.Future[Any], request_id: str
) -> AsyncIterator[str]:
    """The events as text; ending early cancels the work."""
    try:
        item = first
        while item is not None:
            yield _event("progress", {"fraction": item[0], "phase": item[1]})
            item = await told.get()
        yield _last_event(task, request_id)
    finally:
        task.cancel()


def _last_event(task: asyncio.Future[Any], request_id: str) -> str:
    try:
        return _event("result", asdict(task.result()))
    except NeuralMemoryError as error:
        return _event("error", error_body(error, request_id))
    except Exception as error:
        # Only the class: the message of a foreign exception can hold the text of an observation.
        _log.error("request %s failed with %s", request_id, type(error).__name__)
        failed = Internal("The service failed on this request.", hint="Report it with the request id.")
        return _event("error", error_body(failed, request_id))


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
