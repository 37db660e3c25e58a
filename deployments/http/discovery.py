"""Where OAuth clients read whose tokens this service takes (RFC 9728). Public: they ask before they have any."""

from __future__ import annotations

from fastapi import APIRouter

from deployments.access.protected_resource import METADATA_PATH
from deployments.http.answers import ResourceMetadata
from deployments.http.failures import documented
from deployments.http.services import NameParam, ServicesParam
from memory_core.errors import NotFound

router = APIRouter(tags=["discovery"])


@router.get(METADATA_PATH, responses=documented(404))
async def service_metadata(services: ServicesParam) -> ResourceMetadata:
    """Of the whole service."""
    return _metadata(services, "")


@router.get(METADATA_PATH + "/mcp", responses=documented(404))
async def mcp_metadata(services: ServicesParam) -> ResourceMetadata:
    """Of the MCP endpoint."""
    return _metadata(services, "/mcp")


@router.get(METADATA_PATH + "/memories/{name}/mcp", responses=documented(404))
async def memory_mcp_metadata(name: NameParam, services: ServicesParam) -> ResourceMetadata:
    """Of the MCP endpoint of a memory, whether it exists or not."""
    return _metadata(services, f"/memories/{name}/mcp")


def _metadata(services: ServicesParam, path: str) -> ResourceMetadata:
    if services.resource is None:
        raise NotFound("This service takes no OAuth tokens.", code="NO_OAUTH", hint="Use a key.")
    return ResourceMetadata.model_validate(services.resource.metadata(path))
