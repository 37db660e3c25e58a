"""Routes of conversations: OpenAI's chat completions over memories, sessions, and one question to several memories."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter
from starlette.responses import Response

from deployments.chat.conversation import Chat, Reply, TurnReport
from deployments.chat.router import MEMORIES_MAX, RoutedAnswer, ask_memories
from deployments.chat.sessions import Promotion
from deployments.http.chat_schemas import (
    AnswerMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    OpenSessionRequest,
    PromoteRequest,
    RoutedRequest,
    SessionAnswer,
    SessionList,
    parse_names,
)
from deployments.http.event_stream import EVENT_STREAM
from deployments.http.failures import documented
from deployments.http.services import BackendParam, ServicesParam
from deployments.text_rules import check_label, check_text
from memory_core.errors import NotFound, TooLarge
from memory_core.ids import parse_memory_name

router = APIRouter(prefix="/v1", tags=["chat"])
_REPORT: Final[TypeAdapter[TurnReport]] = TypeAdapter(TurnReport)
_STREAM_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _chat(services: ServicesParam) -> Chat:
    if services.chat is None:
        raise NotFound("There are no conversations here.", code="NO_CHAT", hint="Ask a service.")
    return services.chat


ChatParam = Annotated[Chat, Depends(_chat)]


@router.post("/chat/completions", response_model=ChatCompletion, include_in_schema=False)
@router.post(
    "/chat",
    response_model=ChatCompletion,
    responses={
        200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}},
        **documented(400, 404, 413, 422, 429, 503),
    },
)
async def chat(body: ChatRequest, conversations: ChatParam) -> ChatCompletion | Response:
    """Answer with the help of memories; OpenAI's request and response, also streaming.

    What the user said is learned when it is new to the session (or, without one, to the first memory); the answer is
    not, unless `learn_answer` says so. When the language model fails, the answer is what was recalled, with a note.
    """
    turn = body.to_turn()
    check_text(turn.question, "last message")
    check_label(turn.routing.options.domain, "domain")
    reply = await conversations.begin(turn)
    answer_id, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
    if body.stream:
        head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": reply.model}
        return StreamingResponse(_chunks(reply, head), media_type=EVENT_STREAM, headers=_STREAM_HEADERS)
    content = "".join([piece async for piece in reply.pieces()])
    return ChatCompletion(
        id=answer_id,
        created=created,
        model=reply.model,
        choices=[Choice(message=AnswerMessage(content=content))],
        neural_memory=reply.report(),
    )


@router.post("/infer", responses=documented(400, 404, 413, 422, 429, 503))
async def infer_routed(body: RoutedRequest, backend: BackendParam) -> RoutedAnswer:
    """Ask those of several memories that fit, by `domain` or by lowest surprise, and merge what they answer."""
    check_text(body.prompt, "prompt")
    check_label(body.domain, "domain")
    names = None if body.memories is None else parse_names(body.memories)
    if names is None:
        page = await backend.list_memories(limit=MEMORIES_MAX)
        if page.next_cursor is not None:
            raise TooLarge(f"There are more than {MEMORIES_MAX} memories.", hint="Name those that may be asked.")
        names = tuple(info.name for info in page.memories)
    return await ask_memories(backend, names, body.prompt, body.to_routing())


@router.post("/sessions", status_code=201, responses=documented(400, 404, 422, 503))
async def open_session(conversations: ChatParam, body: OpenSessionRequest | None = None) -> SessionAnswer:
    """Begin a session: a small memory and a transcript that vanish when nothing was said for `ttl_s` seconds."""
    return SessionAnswer.of(await conversations.sessions.open(None if body is None else body.ttl_s))


@router.get("/sessions", responses=documented(404, 503))
async def list_sessions(conversations: ChatParam) -> SessionList:
    """The sessions of this key."""
    return SessionList(sessions=[SessionAnswer.of(one) for one in await conversations.sessions.mine()])


@router.get("/sessions/{session_id}", responses=documented(404, 503))
async def show_session(session_id: str, conversations: ChatParam) -> SessionAnswer:
    """A session of this key with its transcript."""
    session = await conversations.sessions.find(session_id)
    return SessionAnswer.of(session, await conversations.sessions.messages(session))


@router.delete("/sessions/{session_id}", status_code=204, responses=documented(404, 503))
async def end_session(session_id: str, conversations: ChatParam) -> None:
    """Delete a session with its memory and transcript."""
    await conversations.sessions.end(session_id)


@router.post("/sessions/{session_id}/promote", responses=documented(400, 404, 409, 422, 503))
async def promote_session(session_id: str, body: PromoteRequest, conversations: ChatParam) -> Promotion:
    """Let a long-term memory learn what the session knows. Repeating it learns nothing twice."""
    return await conversations.sessions.promote(session_id, parse_memory_name(body.memory))


async def _chunks(reply: Reply, head: dict[str, Any]) -> AsyncIterator[str]:
    yield _chunk(head, {"role": "assistant", "content": ""})
    async for piece in reply.pieces():
        yield _chunk(head, {"content": piece})
    report = _REPORT.dump_python(reply.report(), mode="json")
    yield _chunk({**head, "neural_memory": report}, {}, "stop")
    yield "data: [DONE]\n\n"


def _chunk(head: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"
