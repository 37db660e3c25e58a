"""What streams through the client: observations in, an answer out, whole memories as files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from deployments.error_map import error_from_answer
from deployments.http_client import RemoteBackend
from deployments.http_storage import connection_errors, json_or_none
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.results import InferOptions, InferResult, Observation
from memory_core.storage_results import ExportFormat, ImportResult

_CHUNK_BYTES: Final = 1 << 20
_ANSWER: Final[TypeAdapter[InferResult]] = TypeAdapter(InferResult)
_END: Final[Any] = object()

Told = str | Observation
Source = Iterable[Told] | AsyncIterator[Told]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """One batch of a stream: it is durable."""

    observations: int
    last_seq: int
    surprise_mean: float
    observation_count: int
    capacity_used: float
    is_replayed_answer: bool
    is_quarantined: bool


async def observe_stream(
    remote: RemoteBackend, name: MemoryName, told: Source, request_id: RequestId | None
) -> AsyncIterator[Learned]:
    """Learn as it comes; tells of each batch. What the service refuses is raised, after what was learned was told."""
    headers = {"Content-Type": "application/x-ndjson"}
    if request_id is not None:
        headers["Idempotency-Key"] = request_id
    path = f"/v1/memories/{name}/observe/stream"
    with connection_errors(remote.base_url):
        async with remote.http.stream("POST", path, content=_lines(told), headers=headers) as answer:
            if not answer.is_success:
                await answer.aread()
                raise error_from_answer(answer.status_code, json_or_none(answer))
            async for line in answer.aiter_lines():
                said = json.loads(line)
                if "error" in said:
                    raise error_from_answer(422, said)
                yield Learned(**said)


async def infer_stream(
    remote: RemoteBackend, name: MemoryName, prompt: str, options: InferOptions
) -> AsyncIterator[str | InferResult]:
    """Pieces of the response, and last the whole result."""
    body = {"prompt": prompt, **{key: value for key, value in asdict(options).items() if value is not None}}
    with connection_errors(remote.base_url):
        async with remote.http.stream("POST", f"/v1/memories/{name}/infer/stream", json=body) as answer:
            if not answer.is_success:
                await answer.aread()
                raise error_from_answer(answer.status_code, json_or_none(answer))
            kind = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    kind = value
                elif field == "data":
                    yield json.loads(value)["text"] if kind == "response" else _ANSWER.validate_json(value)


async def export_to(remote: RemoteBackend, name: MemoryName, path: Path, tag: Tag | None, form: ExportFormat) -> int:
    """Write a memory to a file, whole or not at all; its size in bytes."""
    export = await remote.export(name, tag=tag, form=form)
    unfinished = path.with_name(path.name + ".part")
    size_bytes = 0
    try:
        with unfinished.open("wb") as file:
            async for piece in export.chunks:
                size_bytes += await asyncio.to_thread(file.write, piece)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return size_bytes


async def import_from(remote: RemoteBackend, name: MemoryName, path: Path) -> ImportResult:
    """Make a memory from a ``.nmem`` file."""
    return await remote.import_memory(name, _pieces(path))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield piece


async def _lines(told: Source) -> AsyncIterator[bytes]:
    async for one in _asynchronous(told):
        observation = Observation(text=one) if isinstance(one, str) else one
        said = {key: value for key, value in asdict(observation).items() if value not in (None, {})}
        yield json.dumps(said).encode() + b"\n"


async def _asynchronous(told: Source) -> AsyncIterator[Told]:
    """A plain iterable is asked in a thread, since it may wait for its source."""
    if isinstance(told, AsyncIterator):
        async for one in told:
            yield one
        return
    source = iter(told)
    while (item := await asyncio.to_thread(next, source, _END)) is not _END:
        yield item
