"""What OAuth clients are told of this service (RFC 9728): whose tokens it takes, and where that is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from deployments.access.principal import SCOPES

METADATA_PATH: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """The service at the URL ``resource``, for tokens of ``issuer``."""

    resource: str
    issuer: str

    def metadata(self, path: str = "") -> dict[str, Any]:
        """The document of the resource at a path, such as ``/mcp``, of this service."""
        return {
            "resource": self.resource.rstrip("/") + path,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
            "resource_name": "Neural Memory",
        }

    def challenge(self, path: str, *, is_refused: bool) -> str:
        """WWW-Authenticate for a request to ``path`` without a token, or with one that was refused."""
        place = path if path.endswith("/mcp") else ""
        error = 'error="invalid_token", ' if is_refused else ""
        return f'Bearer {error}resource_metadata="{self.resource.rstrip("/")}{METADATA_PATH}{place}"'
