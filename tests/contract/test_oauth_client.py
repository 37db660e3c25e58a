"""The SDK's OAuth client gets a token from the SDK's authorization server, and works here with it, over loopback."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.ports import free_port
from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from tests.contract.oauth_service import build_oauth_service

pytestmark = pytest.mark.timeout(300)

SCOPES = ["observe", "infer", "admin"]
REDIRECT = "http://127.0.0.1:1/callback"
FACT = "The grey cat sleeps on the windowsill."


class Issuer(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Lets everyone in and signs what it issues. ``claims`` replace those of the tokens that come."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.claims: dict[str, Any] = {}
        self.issued: list[dict[str, Any]] = []
        self._private = ec.generate_private_key(ec.SECP256R1())
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    def app(self) -> Starlette:
        options = ClientRegistrationOptions(enabled=True, valid_scopes=SCOPES)
        # Its settings keep the address as it is written; a plain URL would get a slash, and be another issuer.
        settings = AuthSettings.model_validate({"issuer_url": self.url, "resource_server_url": None})
        routes = create_auth_routes(self, settings.issuer_url, client_registration_options=options)
        return Starlette(routes=[*routes, Route("/jwks.json", self._key_set)])

    async def _key_set(self, _: Request) -> JSONResponse:
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._private.public_key()))
        return JSONResponse({"keys": [{**public, "kid": "one", "use": "sig", "alg": "ES256"}]})

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self._clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self._codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self._codes[authorization_code.code]
        said = {
            "iss": self.url,
            "sub": "ana",
            "aud": authorization_code.resource,
            "exp": time.time() + 600,
            "client_id": client.client_id,
            "scope": " ".join(authorization_code.scopes),
            "tenant": "acme",
            **self.claims,
        }
        self.issued.append(said)
        token = jwt.encode(said, self._private, algorithm="ES256", headers={"kid": "one"})
        return OAuthToken(access_token=token, expires_in=600, scope=" ".join(authorization_code.scopes))


class Browser:
    """Follows the client's link and reads where it is sent back to, as a person's browser would; keeps nothing."""

    def __init__(self) -> None:
        self.asked = ""
        self._came_back = ""

    async def open(self, url: str) -> None:
        self.asked = url
        async with httpx.AsyncClient(trust_env=False) as client:
            self._came_back = (await client.get(url)).headers["location"]

    async def answer(self) -> AuthorizationCodeResult:
        assert self._came_back.startswith(REDIRECT)
        said = parse_qs(urlsplit(self._came_back).query)
        return AuthorizationCodeResult(code=said["code"][0], state=said["state"][0])


class Kept:
    """The client's storage of tokens, in RAM."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@contextmanager
def served(build: Callable[[], Any], port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(build, factory=True, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
        assert thread.is_alive()
    yield
    server.should_exit = True
    thread.join(60)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Issuer]]:
    """The URL of a service that takes the tokens of an issuer, and the issuer. It has no keys."""
    issuer_port, port = free_port(), free_port()
    issuer = Issuer(f"http://127.0.0.1:{issuer_port}")
    settings = Settings(
        encoder="hash",
        port=port,
        memory_dim=64,
        oauth_issuer=issuer.url,
        oauth_jwks_url=f"{issuer.url}/jwks.json",
    )
    folder, encoders = tmp_path_factory.mktemp("volume"), LocalEncoderPool()
    with ExitStack() as running:
        running.callback(encoders.close)
        running.enter_context(served(issuer.app, issuer_port))
        running.enter_context(served(lambda: build_oauth_service(settings, folder, encoders)[0], port))
        yield settings.base_url, issuer


@asynccontextmanager
async def stranger(url: str, browser: Browser, kept: Kept) -> AsyncIterator[Client]:
    """The SDK's client with nothing but the address of an MCP server."""
    wanted = OAuthClientMetadata(redirect_uris=[AnyUrl(REDIRECT)], client_name="test")
    auth = OAuthClientProvider(url, wanted, kept, browser.open, browser.answer)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), read_timeout_seconds=60) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/mcp", "/memories/notes/mcp"])
async def test_a_client_that_knows_only_the_address_finds_its_way_in(service: tuple[str, Issuer], path: str) -> None:
    (base_url, issuer), browser, kept = service, Browser(), Kept()
    issuer.claims = {}
    async with stranger(base_url + path, browser, kept) as client:
        assert len((await client.list_tools()).tools) == 11
        learned = await client.call_tool("observe", {"context": FACT})
        assert not learned.is_error, learned.content
        told = await client.call_tool("infer", {"prompt": FACT})
        assert told.structured_content is not None
        assert FACT in told.structured_content["response"]
    asked = parse_qs(urlsplit(browser.asked).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["resource"] == [base_url + path]
    assert asked["scope"] == [" ".join(SCOPES)]
    assert kept.client is not None
    assert issuer.issued[-1]["client_id"] == kept.client.client_id
    assert issuer.issued[-1]["aud"] == base_url + path


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example.org/mcp"},
        {"iss": "https://evil.example.org"},
        {"exp": 1_000_000_000},
        {"tenant": None},
    ],
    ids=["audience", "issuer", "expired", "tenant"],
)
async def test_a_token_that_was_issued_for_something_else_is_refused(
    service: tuple[str, Issuer], claims: dict[str, Any]
) -> None:
    base_url, issuer = service
    issuer.claims, kept = claims, Kept()
    count = len(issuer.issued)
    with pytest.raises(BaseExceptionGroup):
        async with stranger(base_url + "/mcp", Browser(), kept) as client:
            await client.list_tools()
    assert len(issuer.issued) > count
    assert kept.tokens is not None
    async with httpx.AsyncClient(trust_env=False) as plain:
        headers = {"Authorization": f"Bearer {kept.tokens.access_token}"}
        answer = await plain.get(f"{base_url}/v1/memories", headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_what_a_token_does_not_allow_is_refused_by_name(service: tuple[str, Issuer]) -> None:
    base_url, issuer = service
    issuer.claims = {"scope": "infer"}
    async with stranger(base_url + "/mcp", Browser(), Kept()) as client:
        refused = await client.call_tool("observe", {"context": FACT})
        assert refused.is_error
        assert "SCOPE_MISSING" in refused.content[0].text  # type: ignore[union-attr]
