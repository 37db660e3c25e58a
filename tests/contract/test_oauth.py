"""Tokens over HTTP and MCP: a key made here, a key set served on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from deployments.settings import Settings
from memory_core.encoding.registry import LocalEncoderPool
from tests.contract.oauth_service import build_oauth_service
from tests.held_open import held_open

ISSUER = "https://login.example.org"
PUBLIC = "https://memory.example.org"
SMALL = {"units": 64, "rows": 256, "heads": 4, "active_rows": 16}
WELL_KNOWN = "/.well-known/oauth-protected-resource"


class KeySet:
    """A signing key of an issuer, and the server that publishes its public half."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.key_id = "one"
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                body = json.dumps({"keys": [outer.public(), {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def public(self) -> dict[str, Any]:
        found = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key()))
        return {**found, "kid": self.key_id, "use": "sig", "alg": "ES256"}

    def token(self, key: Any = None, headers: dict[str, Any] | None = None, alg: str = "ES256", **claims: Any) -> str:
        said = {
            "iss": ISSUER,
            "sub": "ana",
            "aud": f"{PUBLIC}/mcp",
            "exp": time.time() + 600,
            "scope": "openid observe infer admin",
            "tenant": "acme",
            **claims,
        }
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, key or self.private, algorithm=alg, headers={"kid": self.key_id, **(headers or {})})


@pytest.fixture
def keys() -> Iterator[KeySet]:
    made = KeySet()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
async def app(tmp_path: Path, keys: KeySet) -> AsyncIterator[FastAPI]:
    encoders = LocalEncoderPool()
    settings = Settings(
        encoder="hash", oauth_issuer=ISSUER, oauth_jwks_url=keys.url, public_url=PUBLIC, auth="keys", host="127.0.0.1"
    )
    built, inner = build_oauth_service(settings, tmp_path, encoders)
    yield built
    await inner.close()
    encoders.close()


def client(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", headers=headers)


async def status(app: FastAPI, token: str | None) -> int:
    async with client(app, token) as caller:
        return (await caller.get("/v1/memories")).status_code


async def test_a_good_token_works_within_its_tenant_and_scopes(app: FastAPI, keys: KeySet) -> None:
    async with client(app, keys.token()) as acme, client(app, keys.token(tenant="other")) as other:
        assert (await acme.post("/v1/memories", json={"name": "a", **SMALL})).status_code == 201
        assert (await acme.get("/v1/memories/a")).status_code == 200
        assert (await other.get("/v1/memories/a")).status_code == 404
    async with client(app, keys.token(scope=None, scp=["infer"])) as reader:
        refused = await reader.delete("/v1/memories/a")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "SCOPE_MISSING")
        assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="admin"'
        assert (await reader.post("/v1/memories/a/infer", json={"prompt": "x"})).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "https://elsewhere.example.org"},
        {"aud": PUBLIC + ".evil.org"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
        {"nbf": 4_000_000_000},
        {"tenant": None},
        {"tenant": "~x~"},
        {"tenant": 7},
        {"scope": 7},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_refused(app: FastAPI, keys: KeySet, claims: dict[str, Any]) -> None:
    assert await status(app, keys.token(**claims)) == 401
    assert await status(app, keys.token()) == 200


async def test_a_token_of_another_key_or_algorithm_is_refused(app: FastAPI, keys: KeySet) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    good = keys.token()
    head, body, signature = good.split(".")
    forged = [
        keys.token(key=stranger),
        keys.token(headers={"kid": "two"}),
        keys.token(key="secret" * 8, alg="HS256", headers={"kid": "shared"}),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        "a.b.c",
        "x" * 20_000,
    ]
    for token in forged:
        assert await status(app, token) == 401
    assert await status(app, None) == 401


async def test_the_issuer_is_not_asked_again_for_every_unknown_key(app: FastAPI, keys: KeySet) -> None:
    assert await status(app, keys.token()) == 200
    asked = keys.asked
    for number in range(20):
        assert await status(app, keys.token(headers={"kid": f"k{number}"})) == 401
    assert keys.asked == asked


@pytest.mark.parametrize("path", ["", "/mcp", "/memories/team/mcp"])
async def test_clients_learn_where_to_get_a_token(app: FastAPI, keys: KeySet, path: str) -> None:
    async with client(app) as stranger:
        refused = await stranger.post(path or "/v1/memories", json={})
        assert refused.status_code == 401
        place = refused.headers["WWW-Authenticate"].partition('resource_metadata="')[2].rstrip('"')
        assert place == f"{PUBLIC}{WELL_KNOWN}{path}"
        told = (await stranger.get(place.removeprefix(PUBLIC))).json()
    assert told["resource"] == PUBLIC + path
    assert told["authorization_servers"] == [ISSUER]
    assert told["scopes_supported"] == ["observe", "infer", "admin"]
    assert told["bearer_methods_supported"] == ["header"]
    async with client(app, keys.token(exp=1)) as late:
        refused = await late.get("/v1/memories")
        assert refused.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", resource_metadata=')


async def test_mcp_takes_the_same_tokens(app: FastAPI, keys: KeySet) -> None:
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    async with held_open(app.router.lifespan_context(app)), client(app, keys.token()) as caller:
        answer = await caller.post("/mcp", json=ask, headers=headers)
        assert answer.status_code == 200
        assert '"observe"' in answer.text
