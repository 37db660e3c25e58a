"""The gateway of the three memories, as HAProxy runs it: the first part of a path chooses, the rest goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from deployments.ports import free_port

GATEWAY = Path(__file__).parents[2] / "docker" / "gateway"


class Echo(BaseHTTPRequestHandler):
    """Says who was asked for what."""

    def do_GET(self) -> None:
        said = f"{self.server.server_port} {self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def memory() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(20)


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[str, dict[str, int]]]:
    with ExitStack() as stack:
        ports = {name: stack.enter_context(memory()) for name in ("project", "session", "python")}
        own = free_port()
        given = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(own),
            "PROJECT_MEMORY": f"127.0.0.1:{ports['project']}",
            "SESSION_MEMORY": f"127.0.0.1:{ports['session']}",
            "PYTHON_EXPERT": f"127.0.0.1:{ports['python']}",
        }
        running = subprocess.Popen([str(GATEWAY / "run.sh")], env=given)
        stack.callback(running.wait, 20)
        stack.callback(running.terminate)
        url = f"http://127.0.0.1:{own}"
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            try:
                httpx.get(f"{url}/health", trust_env=False)
                break
            except httpx.TransportError:
                assert running.poll() is None, "HAProxy ended"
                time.sleep(0.1)
        yield url, ports


@pytest.mark.parametrize("name", ["project", "session", "python"])
@pytest.mark.parametrize("rest", ["mcp", "v1/memories/x/infer?a=1"])
def test_a_prefix_leads_to_its_memory(gateway: tuple[str, dict[str, int]], name: str, rest: str) -> None:
    url, ports = gateway
    answer = httpx.get(f"{url}/{name}/{rest}", trust_env=False)
    assert answer.text == f"{ports[name]} /{rest} 127.0.0.1:{ports[name]}"


def test_another_prefix_says_what_there_is(gateway: tuple[str, dict[str, int]]) -> None:
    answer = httpx.get(f"{gateway[0]}/other/mcp", trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_its_health_check_answers(gateway: tuple[str, dict[str, int]]) -> None:
    given = {**os.environ, "GATEWAY_PORT": gateway[0].rpartition(":")[2], "no_proxy": "127.0.0.1"}
    assert subprocess.run([sys.executable, GATEWAY / "healthcheck.py"], env=given, check=False).returncode == 0
