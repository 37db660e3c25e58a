"""Streams: observations line by line into a memory, and an answer event by event out of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from deployments.error_map import error_content
from deployments.http.answers import StreamedObserve
from deployments.http.failures import documented
from deployments.http.learning import IdempotencyKey
from deployments.http.schemas import InferRequest, ObservationBody
from deployments.http.services import BackendParam, NameParam, ServicesParam
from deployments.text_rules import check_label, check_metadata, check_observation, check_text
from memory_core.backend import MemoryBackend
from memory_core.errors import InvalidInput, NeuralMemoryError, TooLarge
from memory_core.ids import MemoryName, RequestId, parse_request_id
from memory_core.results import InferResult, Observation, ObserveOptions

BATCH: Final = 64
_NDJSON: Final = "application/x-ndjson"
_PIECE: Final = 64
_ANSWER: TypeAdapter[InferResult] = TypeAdapter(InferResult)


class WhileReading(StreamingResponse):
    """An answer that is made while its request is still read.

    The base class waits for a disconnect meanwhile, and would take the request's body for that.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send each piece as it comes; ends when the client is gone."""
        with contextlib.suppress(OSError, ClientDisconnect):
            await self.stream_response(send)


router = APIRouter(prefix="/v1/memories/{name}", tags=["streams"])


def _line_body() -> dict[str, Any]:
    example = '{"text": "A context manager closes the file when the block ends."}\n{"text": "Glass is made of sand."}\n'
    schema = {"type": "string", "description": "One observation per line, as JSON."}
    return {"requestBody": {"required": True, "content": {_NDJSON: {"schema": schema, "example": example}}}}


async def _known(name: NameParam, backend: BackendParam) -> MemoryName:
    await backend.stats(name)  # what is wrong with the name is said by the status, not inside the stream
    return name


@router.post(
    "/observe/stream",
    response_class=StreamingResponse,
    openapi_extra=_line_body(),
    responses={200: {"content": {_NDJSON: {"schema": {"type": "string"}}}}, **documented(404)},
)
async def observe_stream(
    name: Annotated[MemoryName, Depends(_known)],
    request: Request,
    services: ServicesParam,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Learn one observation per line, without an end if you like. Each line of the answer tells of one batch.

    A line with an ``error`` is the last one; what was told before it is durable.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise InvalidInput("A stream cannot be packed.", code="ENCODING_NOT_SUPPORTED", hint="Send plain lines.")
    if idempotency_key is not None:
        parse_request_id(f"{idempotency_key}:{0:010d}")
    lines = _lines(request, services.max_body_bytes)
    answers = _learned(services.backend, name, lines, idempotency_key)
    return WhileReading(answers, media_type=_NDJSON, headers={"Content-Encoding": "identity"})


@router.post(
    "/infer/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **documented(404)},
)
async def infer_stream(name: NameParam, body: InferRequest, backend: BackendParam) -> StreamingResponse:
    """As infer, as server-sent events: ``response`` with pieces of the text, then ``done`` with the whole result."""
    check_text(body.prompt, "prompt")
    check_label(body.domain, "domain")
    check_metadata(body.metadata, "metadata filter")
    answer = await backend.infer(name, body.prompt, body.to_options())
    return StreamingResponse(_events(answer), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _learned(
    backend: MemoryBackend, name: MemoryName, lines: AsyncIterator[bytes], key: str | None
) -> AsyncIterator[bytes]:
    batch: list[Observation] = []
    number = count = 0
    try:
        async for line in lines:
            batch.append(_observation(line, count + len(batch) + 1))
            if len(batch) == BATCH:
                yield await _learn(backend, name, batch, key, number)
                number, count, batch = number + 1, count + len(batch), []
        if batch:
            yield await _learn(backend, name, batch, key, number)
    except NeuralMemoryError as error:
        yield json.dumps({"error": error_content(error), "observations_learned": count}).encode() + b"\n"


async def _learn(
    backend: MemoryBackend, name: MemoryName, batch: list[Observation], key: str | None, number: int
) -> bytes:
    request_id = None if key is None else RequestId(f"{key}:{number:010d}")
    result = await backend.observe(name, batch, ObserveOptions(request_id=request_id))
    return StreamedObserve.of(result).model_dump_json().encode() + b"\n"


async def _lines(request: Request, max_line_bytes: int) -> AsyncIterator[bytes]:
    """Lines that are not blank. TooLarge when one never ends."""
    rest = b""
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield _capped(line, max_line_bytes)
        _capped(rest, max_line_bytes)
    if rest.strip():
        yield rest


def _capped(line: bytes, max_line_bytes: int) -> bytes:
    if len(line) > max_line_bytes:
        raise TooLarge(f"A line is over {max_line_bytes} bytes.", hint="Send one observation per line.")
    return line


def _observation(line: bytes, number: int) -> Observation:
    try:
        observation = ObservationBody.model_validate_json(line).to_observation()
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False)[0]["msg"]
        raise InvalidInput(
            f"Line {number} is not an observation: {problem}.", hint='Send lines like {"text": "..."}.'
        ) from None
    check_observation(observation, f"observation {number}")
    return observation


async def _events(answer: InferResult) -> AsyncIterator[bytes]:
    text = answer.response
    for start in range(0, len(text), _PIECE):
        yield _event("response", json.dumps({"text": text[start : start + _PIECE]}))
    yield _event("done", _ANSWER.dump_json(answer).decode())


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {data}\n\n".encode()
