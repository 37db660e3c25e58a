"""observe: decode, cut into parts, learn them one after the other."""

from __future__ import annotations

import base64
import binascii
import hashlib

from deployments.mcp.answers import ObserveAnswer, observe_answer
from deployments.mcp.arguments import ObserveArguments
from deployments.mcp.caller import Caller
from deployments.mcp.parts import parts_of
from deployments.mcp.reporting import Report
from deployments.text_rules import check_observation
from memory_core.errors import InvalidInput, NeuralMemoryError, NotFound
from memory_core.ids import MemoryName, RequestId, parse_request_id
from memory_core.results import Observation, ObserveOptions, ObserveResult


async def observe(caller: Caller, sent: ObserveArguments, report: Report) -> ObserveAnswer:
    """Learn one context. The memory of the connection is made when it does not exist yet."""
    name = caller.named(sent.memory)
    whole = _observation(sent, _decoded(sent))
    check_observation(whole, "context")
    key = None if sent.idempotency_key is None else parse_request_id(sent.idempotency_key)
    parts = parts_of(whole.text)
    results: list[ObserveResult] = []
    for position, part in enumerate(parts):
        options = ObserveOptions(request_id=_part_key(key, position, len(parts)), learning_rate=sent.learning_rate)
        try:
            results.append(await _learn(caller, name, _observation(sent, part), options))
        except NeuralMemoryError as error:
            raise (_with_parts(error, position, len(parts)) if position else error) from None
        await report(position + 1, len(parts), f"learned part {position + 1} of {len(parts)}")
    return observe_answer(results)


async def _learn(caller: Caller, name: MemoryName, one: Observation, options: ObserveOptions) -> ObserveResult:
    try:
        return await caller.backend.observe(name, [one], options)
    except NotFound:
        if name != caller.memory:
            raise
        await caller.create_own()
        return await caller.backend.observe(name, [one], options)


def _decoded(sent: ObserveArguments) -> str:
    if sent.encoding == "utf-8":
        return sent.context
    try:
        return base64.b64decode(sent.context, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidInput(
            "The context is not base64 of UTF-8 text.", hint="Send text as it is, or base64 of its UTF-8 bytes."
        ) from None


def _observation(sent: ObserveArguments, text: str) -> Observation:
    return Observation(text=text, domain=sent.domain, session=sent.session, metadata=dict(sent.metadata or {}))


def _part_key(key: RequestId | None, position: int, count: int) -> RequestId | None:
    if key is None or count == 1:
        return key
    # Hashed, because a key may already have the greatest length.
    return RequestId(hashlib.sha256(f"{position}/{count}/{key}".encode()).hexdigest())


def _with_parts(error: NeuralMemoryError, learned: int, count: int) -> NeuralMemoryError:
    return type(error)(
        f"{error.message} The first {learned} of {count} parts are learned.",
        code=error.code,
        hint=f"{error.hint} With an idempotency_key the same call learns only the rest.".strip(),
        retry_after_s=error.retry_after_s,
    )
