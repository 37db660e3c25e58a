"""Adds the MCP door to the ingress: who calls, and which memory they mean."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from deployments.mcp.caller import Caller, Jobs
from deployments.mcp.server import build_server
from deployments.mcp.web import mount
from deployments.memory_spec import complete_spec
from deployments.settings import Settings
from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import EncoderPool
from memory_core.ids import EncoderId, MemoryName, parse_memory_name
from memory_core.results import MemoryInfo


def mount_mcp(
    api: FastAPI, settings: Settings, backend: MemoryBackend, encoders: EncoderPool, jobs: Jobs | None = None
) -> None:
    """Serve MCP beside the HTTP routes, over the same memories."""
    own_memory = parse_memory_name(settings.mcp_memory)
    default_encoder, defaults = EncoderId(settings.encoder), settings.memory_defaults

    async def create_chosen(name: MemoryName, chosen: dict[str, Any]) -> MemoryInfo:
        spec = await complete_spec(encoders, default_encoder, chosen, defaults)
        return await backend.create(name, spec.config, spec.terms)

    async def find_caller(request: object | None) -> Caller:
        assert isinstance(request, Request)
        named = request.path_params.get("name")
        memory = own_memory if named is None else parse_memory_name(named)
        return Caller(backend=backend, create_chosen=create_chosen, memory=memory, jobs=jobs)

    server = build_server(find_caller, settings.mcp_tools)
    mount(api, server, allowed_hosts=settings.served_hosts, max_body_bytes=settings.max_body_bytes)
