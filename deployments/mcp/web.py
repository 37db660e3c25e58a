"""The MCP door of the HTTP service: ``/mcp`` and ``/memories/NAME/mcp``, stateless, so that any replica can answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

PATH: Final = "/mcp"
MEMORY_PATH: Final = "/memories/{name}/mcp"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def mount(app: FastAPI, server: Server[Any], *, allowed_hosts: Sequence[str], max_body_bytes: int) -> None:
    """Add the two paths to ``app``. ``allowed_hosts``: names beside those of this machine that requests may ask for."""
    manager = StreamableHTTPSessionManager(
        server,
        stateless=True,
        security_settings=host_rules(allowed_hosts),
        max_request_body_size=max_body_bytes,
    )
    endpoint = _Trimmed(StreamableHTTPASGIApp(manager))
    # Neither sessions to end nor messages outside a request: other methods get 405, as the protocol says.
    app.router.routes.extend(Route(path, endpoint, methods=["POST"]) for path in (PATH, MEMORY_PATH))
    app.router.lifespan_context = _with_manager(app, manager)


class _Trimmed:
    """Wraps an ASGI app. Header values without the white space around them, which HTTP says is no part of them.

    Servers below leave some of it, and the SDK compares values with what the body says.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        await self._app({**scope, "headers": headers}, receive, send)


def host_rules(allowed_hosts: Sequence[str]) -> TransportSecuritySettings:
    """Which Host and Origin headers are served: this machine's, and those of the settings, on any port."""
    hosts = [*_LOOPBACK, *allowed_hosts]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[form for host in hosts for form in (host, f"{host}:*")],
        allowed_origins=[
            form
            for host in hosts
            for scheme in ("http", "https")
            for form in (f"{scheme}://{host}", f"{scheme}://{host}:*")
        ],
    )


def _with_manager(app: FastAPI, manager: StreamableHTTPSessionManager) -> Any:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[Any]:
        async with inner(running) as state, manager.run():
            yield state

    return lifespan
