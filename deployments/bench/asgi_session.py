"""A ``requests`` session that calls an application in this thread: no sockets, no second thread to wait for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

import requests
import urllib3
from fastapi import FastAPI
from requests.adapters import BaseAdapter

_DEADLINE_S: Final = 60.0
_CLIENT: Final = ("127.0.0.1", 50_000)


@contextmanager
def asgi_session(app: FastAPI, base_url: str) -> Iterator[requests.Session]:
    """A session whose requests below ``base_url`` reach ``app``, which is started before and stopped after."""
    with asyncio.Runner() as runner, requests.Session() as session:
        life = runner.run(_started(app))
        session.mount(base_url, _AsgiAdapter(app, runner))
        try:
            yield session
        finally:
            runner.run(life.end())


class _Life:
    """The application from start to stop, in one task: what it enters there it must leave there."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._end = asyncio.Event()
        self.has_started = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def end(self) -> None:
        self._end.set()
        await self._task

    async def _live(self) -> None:
        try:
            async with self._app.router.lifespan_context(self._app):
                self.has_started.set()
                await self._end.wait()
        finally:
            self.has_started.set()


async def _started(app: FastAPI) -> _Life:
    life = _Life(app)
    await life.has_started.wait()
    return life


class _AsgiAdapter(BaseAdapter):
    """Turns a prepared request into a call of the application, and what it sends into a response."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        super().__init__()
        self._app = app
        self._runner = runner

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """One request; an exception that leaves the application stays one."""
        scope, body = _scope(request), _body(request)
        status, headers, content = self._runner.run(_called(self._app, scope, body))
        response = requests.Response()
        response.status_code = status
        plain = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        response.headers.update(plain)
        response.raw = urllib3.HTTPResponse(io.BytesIO(content), plain, status, preload_content=False)
        response.request, response.url = request, request.url or ""
        return response

    def close(self) -> None:
        """Nothing is open."""


async def _called(app: FastAPI, scope: dict[str, Any], body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    started: dict[str, Any] = {}
    content: list[bytes] = []
    is_sent = False

    async def receive() -> dict[str, Any]:
        nonlocal is_sent
        if is_sent:
            await asyncio.sleep(_DEADLINE_S)
            return {"type": "http.disconnect"}
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            content.append(message.get("body", b""))

    await asyncio.wait_for(app(scope, receive, send), _DEADLINE_S)
    return started["status"], list(started["headers"]), b"".join(content)


def _scope(request: requests.PreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url or "")
    raw_path = url.path.encode() or b"/"
    headers = [(b"host", url.netloc.encode())]
    headers += [(_bytes(name).lower(), _bytes(value)) for name, value in request.headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": (request.method or "GET").upper(),
        "scheme": url.scheme,
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": headers,
        "client": _CLIENT,
        "server": (url.hostname, url.port),
    }


def _body(request: requests.PreparedRequest) -> bytes:
    body: Any = request.body
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return b"".join(_bytes(part) for part in body)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
