"""A small server that speaks OpenAI's protocol over real HTTP, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from deployments.ports import free_port

Behaviour = Literal["good", "silent", "slow", "limited", "refusing", "malformed", "cut", "empty", "html"]


@dataclass
class ModelServer:
    """What it does next, and what it was asked. ``answer`` is sent word by word."""

    url: str
    behaviour: Behaviour = "good"
    answer: str = "It leaves at noon [notes#0]."
    requests: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Response:
            self.requests.append(await request.json())
            if self.behaviour == "slow":
                await asyncio.sleep(30)
            if self.behaviour == "limited":
                return JSONResponse({"error": {"message": "slow down"}}, 429, {"Retry-After": "20"})
            if self.behaviour == "refusing":
                return JSONResponse({"error": {"message": "no such model"}}, 404)
            if self.behaviour == "html":
                return Response("<html>a proxy's page</html>", media_type="text/html")
            return StreamingResponse(self._stream(), media_type="text/event-stream")

        return app

    async def _stream(self) -> AsyncIterator[str]:
        if self.behaviour != "empty":
            for place, word in enumerate(self.answer.split(" ")):
                if place == 2:
                    if self.behaviour == "malformed":
                        yield "data: {this is not JSON\n\n"
                    if self.behaviour == "cut":
                        raise ConnectionResetError
                    if self.behaviour == "silent":
                        await asyncio.sleep(30)
                yield _event(f"{word} " if place < self.answer.count(" ") else word)
        yield _event(None)
        yield "data: [DONE]\n\n"


def _event(content: str | None) -> str:
    delta = {} if content is None else {"role": "assistant", "content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if content is None else None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


@contextmanager
def running_model_server() -> Iterator[ModelServer]:
    """Serve on loopback until the block ends."""
    port = free_port()
    model = ModelServer(f"http://127.0.0.1:{port}/v1")
    server = uvicorn.Server(uvicorn.Config(model.app(), port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline_s = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline_s:
        time.sleep(0.01)
    try:
        yield model
    finally:
        server.force_exit = server.should_exit = True
        thread.join(60)
